"""Biases of quantized layers that are no whole number of units of the layer's sums.

Exporters of PyTorch leave them in float32.  ONNX Runtime adds them so; whole units, as integer
kernels have them, may be several steps of a result with a small scale.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from qdq_models import QDQModel

import dero_tvm
from relax_passes.pipeline import Canonicalize
from tests.compiled.compiled_c import run_in_c
from tests.oracles.onnx_session import session

DATA, WEIGHTS = 0.1, 0.05  # scales: sums are in units of 0.005
FINE, COARSE = 0.0015, 0.1  # of results: a unit is three steps, and a part of one


def layers(scale: float) -> onnx.ModelProto:
    """A convolution, a depthwise one and a dense layer, with biases of parts of a unit."""
    rng = np.random.default_rng(3)
    net = QDQModel()
    data = net.dequantize(net.input("data", (1, 4, 5, 5), "int8"), DATA, np.int8(2))

    def constants(*shape: int) -> list[str]:
        weight = net.constant(rng.integers(-3, 4, shape).astype(np.int8))
        bias = rng.uniform(-0.1, 0.1, shape[0]).astype(np.float32)
        return [net.dequantize(weight, WEIGHTS, np.int8(0)), net.constant(bias)]

    results = {
        "conv": net.node("Conv", data, *constants(6, 4, 1, 1)),
        "depthwise": net.node("Conv", data, *constants(4, 1, 3, 3), group=4, pads=[1] * 4),
        "dense": net.node("Gemm", net.node("Flatten", data), *constants(7, 100), transB=1),
    }
    return net.build(
        **{name: (net.quantize(y, scale, np.int8(-1)), "int8") for name, y in results.items()}
    )


@pytest.mark.parametrize("scale", [FINE, COARSE])
def test_a_bias_is_off_by_no_step(scale: float) -> None:
    model = layers(scale)
    given = np.random.default_rng(4).integers(0, 5, (1, 4, 5, 5)).astype(np.int8)
    expected = session(model).run(None, {"data": given})
    outputs = run_in_c(dero_tvm.load(model), [given])
    for output, right in zip(outputs, expected, strict=True):
        assert np.isin(right, (-128, 127)).mean() < 0.3, "clamped results say nothing"
        apart = np.abs(output.astype(int) - right)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.1  # at ties alone


@pytest.mark.parametrize(("scale", "in_float"), [(FINE, True), (COARSE, False)])
def test_only_layers_with_such_a_bias_stay_in_float(scale: float, in_float: bool) -> None:
    canonical = Canonicalize()(dero_tvm.load(layers(scale)).module)
    assert ("dequantize" in canonical.script()) == in_float
