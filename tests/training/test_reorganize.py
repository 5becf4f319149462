"""`dero_tvm.reorganize`: the file, run and exported again, is the reorganized Relax module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from host_module import run_on_host
from residual_networks import densenet_like, mobilenet_like, resnet_like

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which PyTorch exports ONNX with, is missing")

import dero_tvm  # noqa: E402

NETWORKS = {"resnet": resnet_like, "mobilenet": mobilenet_like, "densenet": densenet_like}


@pytest.fixture(scope="module", params=NETWORKS)
def made(request):
    return dero_tvm.reorganize(NETWORKS[request.param]())


def generated(made, folder: Path):
    """The generated file as a module, and its network with the saved weights."""
    files = made.files()
    (folder / "weights.pt").write_bytes(files["weights.pt"])
    namespace = {"__name__": "generated"}
    exec(files["network.py"].decode(), namespace)
    network = namespace[made.source.network]()
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return namespace, network.eval()


def test_file_computes_the_reorganized_module(made, tmp_path) -> None:
    namespace, network = generated(made, tmp_path)
    namespace["export"](network, str(tmp_path / "again.onnx"))
    image, expected = run(made.module)
    close(network(torch.from_numpy(image)).detach().numpy(), expected)
    _, imported = run(dero_tvm.load(tmp_path / "again.onnx").module)
    close(imported, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"normalization": "after", "join_activation": "sum", "shortcut_norms": "changed"},
        {"plain": True, "shortcuts": "stages"},
    ],
    ids=["after", "plain"],
)
def test_other_choices(options, tmp_path) -> None:
    made = dero_tvm.reorganize(resnet_like(), **options)
    image, expected = run(made.module)
    close(made.network().eval()(torch.from_numpy(image)).detach().numpy(), expected)


def run(module):
    shape = [int(size) for size in module["main"].params[0].ty.shape]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return image, run_on_host(module, [image])[0]


def close(actual, expected) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
