"""`dero_tvm.reorganize`: the file, run and exported again, is the reorganized Relax module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.host_module import run_on_host
from tests.training.residual_networks import densenet_like, mobilenet_like, resnet_like

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which PyTorch exports ONNX with, is missing")

import dero_tvm  # noqa: E402
from dero_tvm.training.network_module import network_module  # noqa: E402

AFTER = {"normalization": "after", "join_activation": "sum", "shortcut_norms": "changed"}
NETWORKS = {
    "resnet": (resnet_like, {}),
    "mobilenet, normalized after": (mobilenet_like, AFTER),
    "densenet, without biases": (densenet_like, {"bias": False}),
}


def generated(made, folder: Path):
    """The generated file as a module, and its network with the start weights as a file has them."""
    written = network_module(made.source, made.description.weights)
    (folder / "weights.pt").write_bytes(written.state_bytes())
    namespace = {"__name__": "generated"}
    exec(made.source.text, namespace)
    network = namespace[made.source.network]()
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return namespace, network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_file_computes_the_reorganized_module(name, tmp_path) -> None:
    build, options = NETWORKS[name]
    made = dero_tvm.reorganize(build(), **options)
    namespace, network = generated(made, tmp_path)
    exported = tmp_path / "again.onnx"
    namespace["export"](network, str(exported))
    image, expected = run(made.module)
    close(network(torch.from_numpy(image)).detach().numpy(), expected)
    session = onnxruntime.InferenceSession(exported)
    close(session.run(["logits"], {"image": image})[0], expected)
    if name == "resnet":
        close(run(dero_tvm.load(exported).module)[1], expected)


def run(module):
    shape = [int(size) for size in module["main"].params[0].ty.shape]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return image, run_on_host(module, [image])[0]


def close(actual, expected) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
