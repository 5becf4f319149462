"""Start weights solved for on calibration inputs: how near they keep the original's function."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from dero_tvm.boundary.errors import UserError
from tests.training.residual_networks import densenet_like, mobilenet_like, resnet_like

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which PyTorch exports ONNX with, is missing")

import dero_tvm  # noqa: E402
from dero_tvm.training.network_module import network_module  # noqa: E402

AFTER = {"normalization": "after", "join_activation": "sum", "shortcut_norms": "changed"}
# Network, choices, and which share of the inherited weights' error may be left.
NETWORKS = {
    "resnet": (resnet_like, {}, 0.5),
    "resnet, normalized after": (resnet_like, AFTER, 0.5),
    "mobilenet": (mobilenet_like, {}, 0.5),
    "mobilenet, plain": (mobilenet_like, {"plain": True, "normalization": "after"}, 1.0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_nearer_to_the_original(name) -> None:
    build, choices, share = NETWORKS[name]
    model = build()
    rng = np.random.default_rng(0)
    (shape,) = ([d.dim_value for d in p.type.tensor_type.shape.dim] for p in model.graph.input)
    images, others = rng.standard_normal((2, 64, *shape[1:]), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = np.concatenate([session.run(None, {"image": x[None]})[0] for x in others])

    def error(network, training: bool) -> float:
        network.train(training)
        with torch.no_grad():
            found = network(torch.from_numpy(others)).numpy()
        return float(np.square(found - expected).mean() / expected.var(axis=0).mean())

    made = dero_tvm.reorganize(model, calibration={"image": images}, **choices)
    inherited = error(network_module(made.source, made.description.weights).network, True)
    # The normalisations' statistics are those of the images: training begins where inference is.
    left = [error(made.network(), training) for training in (True, False)]
    assert max(left) < share * inherited
    assert set(made.solved) == set(made.network().state_dict())


def test_layers_of_another_width_keep_what_was_drawn() -> None:
    images = np.random.default_rng(0).standard_normal((4, 3, 16, 16), np.float32)
    made = dero_tvm.reorganize(densenet_like(), calibration={"image": images})
    before = network_module(made.source, made.description.weights).network.state_dict()
    nodes = {n.name: n for n in made.description.architecture.nodes}
    kept = {
        nodes[origin.removesuffix(".weight")].inherited: torch.equal(
            torch.from_numpy(made.solved[key]), before[key]
        )
        for key, origin in made.source.weights.items()
        if key.endswith(".conv.weight")
    }
    assert kept == {True: False, False: True}


def test_calibration_that_does_not_fit() -> None:
    with pytest.raises(UserError, match="no input is named 'picture'"):
        dero_tvm.reorganize(resnet_like(), calibration={"picture": np.zeros((2, 3, 24, 24))})
