"""int8 addition, subtraction and multiplication, bit by bit against LiteRT's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from relax_passes.operators import TensorSpec, quantized
from tests.operator_checks import check_kernel, random_array
from tests.random_cases import cases
from tests.row_kernel_runner import RowKernel
from tests.tflite_builder import TFLiteBuilder, run_litert_reference

ACTIVATIONS = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}

shapes = mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=4, max_side=5)
scales = st.floats(-14.0, 8.0).map(lambda exponent: float(np.float32(2.0**exponent)))
zero_points = st.integers(-128, 127)


def litert(code, arrays, scales, zero_points, activation):
    """What LiteRT computes for the operator `code`; scales and zero points are of a, b, out."""
    builder = TFLiteBuilder()
    names = ("a", "b")
    operands = [
        builder.input(name, array.shape, "int8", scale=scale, zero_point=zero_point)
        for name, array, scale, zero_point in zip(names, arrays, scales, zero_points)
    ]
    out = builder.tensor("out", None, "int8", scale=scales[2], zero_point=zero_points[2])
    builder.operator(code, operands, [out], version=2, fused_activation_function=activation)
    (result,) = run_litert_reference(builder.build(outputs=[out]), dict(zip(names, arrays)))
    return result


def attributes(name, scales, zero_points, activation):
    """The attributes that a frontend gives the operator for the same scales."""
    low, high = quantized.activation_range(scales[2], zero_points[2], *ACTIVATIONS[activation])
    common = {"minimum": low, "maximum": high, "zero_points": zero_points}
    if name == "multiply":
        multiplier, shift = quantized.multiply_factors(*scales)
        return {**common, "multiplier": multiplier, "shift": shift}
    factors = quantized.add_factors if name == "add" else quantized.subtract_factors
    return {**common, **factors(*scales)}


@pytest.mark.parametrize(("name", "code"), [("add", "ADD"), ("subtract", "SUB")])
@given(
    shapes,
    st.tuples(scales, scales, scales),
    st.tuples(zero_points, zero_points, zero_points),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 2**32 - 1),
)
@cases(20)
def test_sum_equals_litert(name, code, shapes, scales, zero_points, activation, gaps, seed):
    # LiteRT stops the process if the factor of the sum is not below 1.
    assume(max(scales[:2]) < scales[2] * 2**18)
    rng = np.random.default_rng(seed)
    arrays = [random_array(rng, shape, "int8") for shape in shapes.input_shapes]
    check_kernel(
        name,
        arrays,
        litert(code, arrays, scales, zero_points, activation),
        gaps=gaps[:2],
        out_gap=gaps[2],
        **attributes(name, scales, zero_points, activation),
    )


@given(
    shapes,
    st.tuples(scales, scales, scales),
    st.tuples(zero_points, zero_points, zero_points),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 2**32 - 1),
)
@cases(20)
def test_product_equals_litert(shapes, scales, zero_points, activation, gaps, seed):
    # A product is shifted left inside 32 bits; every output is saturated long before.
    assume(scales[0] * scales[1] < scales[2] * 2**12)
    rng = np.random.default_rng(seed)
    arrays = [random_array(rng, shape, "int8") for shape in shapes.input_shapes]
    check_kernel(
        "multiply",
        arrays,
        litert("MUL", arrays, scales, zero_points, activation),
        gaps=gaps[:2],
        out_gap=gaps[2],
        **attributes("multiply", scales, zero_points, activation),
    )


@pytest.mark.parametrize(
    ("name", "code"), [("add", "ADD"), ("subtract", "SUB"), ("multiply", "MUL")]
)
def test_all_pairs_of_values(name, code):
    """Every int8 value with every other, with scales whose rounding leaves no slack."""
    values = np.arange(-128, 128, dtype="int8")
    a, b = (np.ascontiguousarray(grid) for grid in np.meshgrid(values, values))
    a, b = a.reshape(1, 256, 64, 4), b.reshape(1, 256, 64, 4)
    scales, zero_points = (0.0371, 0.0125, 0.0463), (-7, 99, -128)
    scales = tuple(float(np.float32(scale)) for scale in scales)
    check_kernel(
        name,
        [a, b],
        litert(code, [a, b], scales, zero_points, "NONE"),
        in_place=(0, 1),
        **attributes(name, scales, zero_points, "NONE"),
    )


@pytest.mark.parametrize("name", ["add", "subtract", "multiply"])
@given(
    st.tuples(scales, scales, scales),
    st.tuples(zero_points, zero_points, zero_points),
    st.integers(0, 2**32 - 1),
)
@cases(10)
def test_single_rounding_is_the_nearest_integer(name, scales, zero_points, seed):
    """With one rounding the result is within hardly more than half a unit of the real result."""
    assume(max(scales[:2]) < scales[2] * 2**10)
    assume(scales[0] * scales[1] < scales[2] * 2**10)
    rng = np.random.default_rng(seed)
    a, b = (random_array(rng, (1, 8, 8, 4), "int8") for _ in range(2))
    real_a = (a.astype("float64") - zero_points[0]) * scales[0]
    real_b = (b.astype("float64") - zero_points[1]) * scales[1]
    real = {"add": real_a + real_b, "subtract": real_a - real_b, "multiply": real_a * real_b}[name]
    exact = np.clip(real / scales[2] + zero_points[2], -128, 127)
    attrs = {**attributes(name, scales, zero_points, "NONE"), "rounding": "single"}
    kernel = RowKernel(name, [TensorSpec(a.shape, "int8")] * 2, **attrs)
    error = np.abs(kernel.run_rows(a, b).astype("float64") - exact)
    assert error.max() <= 0.5 + 1e-4
