"""`dero_tvm.reorganize`: the file, run and exported again, is the reorganized Relax module."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from host_module import run_on_host
from residual_networks import densenet_like, mobilenet_like, resnet_like

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which PyTorch exports ONNX with, is missing")

from dero_tvm.frontends import load  # noqa: E402
from dero_tvm.training.reorganize import reorganize  # noqa: E402

NETWORKS = {"resnet": resnet_like, "mobilenet": mobilenet_like, "densenet": densenet_like}


@pytest.mark.parametrize("options", [{}, {"normalization": "after"}, {"plain": True}], ids=str)
@pytest.mark.parametrize("family", NETWORKS)
def test_file_computes_the_reorganized_module(family, options, tmp_path) -> None:
    made = reorganize(NETWORKS[family](), **options)
    made.save(tmp_path / "out")
    namespace = {"__name__": "generated"}
    exec((tmp_path / "out" / "network.py").read_text(), namespace)
    network = namespace[made.source.network]()
    network.load_state_dict(torch.load(tmp_path / "out" / "weights.pt", weights_only=True))
    namespace["export"](network, str(tmp_path / "again.onnx"))

    shape = made.description.architecture.inputs[0].shape
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (expected,) = run_on_host(made.module, [image])
    tolerance = {"rtol": 1e-5, "atol": 1e-5 * np.abs(expected).max()}
    with torch.no_grad():
        np.testing.assert_allclose(network.eval()(torch.from_numpy(image)), expected, **tolerance)
    for exported in (tmp_path / "again.onnx", onnx.load(tmp_path / "out" / "network.onnx")):
        (imported,) = run_on_host(load(exported).module, [image])
        np.testing.assert_allclose(imported, expected, **tolerance)
