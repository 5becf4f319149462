"""Scales that are powers of two: ONNX Runtime's float32 is exact, and sends its ties to even.

Quantizers for hardware without multipliers choose such scales, and so does whoever averages two
tensors of one scale.  Up to half of all results then lie halfway between two integers.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from oracles import onnx_runtime
from qdq_models import QDQModel

import dero_tvm
from tests.compiled.compiled_c import run_in_c
from tests.oracles.onnx_session import session

SHAPE = (1, 8, 6, 6)
STEP = 2.0**-4
ZERO = 3
FOUR_BY_FOUR = (np.array([0, 0]), np.array([4, 4]), np.array([2, 3]))  # starts, ends, axes


def every_operator(dtype: str) -> tuple[onnx.ModelProto, dict[str, tuple[str, float]]]:
    """Each on the two inputs, with a result of its own; by output, the real one and its scale."""
    rng = np.random.default_rng(5)
    net = QDQModel()
    middle = 128 if dtype == "uint8" else 0
    zero = np.array(ZERO + middle, dtype)
    a, b = (
        net.dequantize(net.input(name, SHAPE, dtype), scale, zero)
        for name, scale in (("a", STEP), ("b", 2 * STEP))
    )
    rows = net.node("Reshape", a, net.constant(np.array([6, 48])))
    square = net.node("Slice", a, *map(net.constant, FOUR_BY_FOUR))

    def weight(*shape: int) -> str:
        """int8, with a power of two of its own for each channel."""
        values = rng.integers(-9, 10, shape).astype(np.int8)
        scales = 2.0 ** rng.integers(-5, -1, shape[0])
        return net.dequantize(net.constant(values), scales, np.zeros(shape[0], np.int8), axis=0)

    def factors(*shape: int) -> str:
        values = rng.integers(-9, 10, shape).astype(np.int8)
        return net.dequantize(net.constant(values), 2.0**-3, np.int8(0))

    axes = net.constant(np.array([2, 3]))
    padded = {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]}
    real = {
        "pointwise": (net.node("Conv", a, weight(6, 8, 1, 1)), 2 * STEP),
        "spatial": (net.node("Conv", a, weight(6, 8, 3, 3), pads=[1] * 4), 4 * STEP),
        "depthwise": (net.node("Conv", a, weight(8, 1, 3, 3), group=8), 2 * STEP),
        "dense": (net.node("MatMul", rows, factors(48, 64)), 2 * STEP),
        "sum": (net.node("Add", a, a), 4 * STEP),
        "two scales": (net.node("Add", a, b), 4 * STEP),
        "difference": (net.node("Sub", a, b), 8 * STEP),
        "mean of two": (net.node("Mean", a, b), 2 * STEP),
        "product": (net.node("Mul", a, b), STEP * 2),
        "scaled": (net.node("Mul", a, factors(1, 8, 1, 1)), STEP),
        "average": (net.node("AveragePool", a, kernel_shape=[2, 2]), STEP / 2),
        "padded average": (net.node("AveragePool", a, **padded), STEP * 2),
        "mean": (net.node("ReduceMean", square, axes), STEP / 2),
        "total": (net.node("ReduceSum", b, axes), 16 * STEP),
        "step": (net.node("Relu", a), 4 * STEP),
    }
    outputs = {
        name.replace(" ", "_"): (net.quantize(value, scale, zero), dtype)
        for name, (value, scale) in real.items()
    }
    return net.build(**outputs), {name.replace(" ", "_"): of for name, of in real.items()}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_ties_go_to_even(dtype: str) -> None:
    model, real = every_operator(dtype)
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(6)
    feed = {n: rng.integers(limits.min, limits.max + 1, SHAPE).astype(dtype) for n in "ab"}
    (expected,) = onnx_runtime(model, [feed])
    outputs = run_in_c(dero_tvm.load(model), list(feed.values()))
    wrong = {
        name: int((output != expected[name]).sum())
        for name, output in zip(expected, outputs, strict=True)
        if not np.array_equal(output, expected[name])
    }
    assert not wrong
    # The values as they were before they became integers: many of them ties.
    model.graph.output.extend(helper.make_empty_tensor_value_info(of) for of, _ in real.values())
    values = session(model).run([of for of, _ in real.values()], feed)
    for (name, (_, scale)), value in zip(real.items(), values):
        assert (np.abs(value / scale % 1) == 0.5).mean() > 0.01, name
