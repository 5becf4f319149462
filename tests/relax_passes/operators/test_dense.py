"""Dense kernels against NumPy and LiteRT's reference kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import OperatorClass, TensorSpec
from relax_passes.operators.quantized import activation_range, convolution_factors, dense_factors
from tests.compiled.operator_checks import random_scales
from tests.compiled.row_kernel_runner import RowKernel, assert_reads_only_needed_rows
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.oracles.tflite_micro_runner import run_tflite_micro
from tests.random_cases import cases

lengths = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


def specs(shape, units, dtype, stride=0):
    data, weight = TensorSpec(shape, dtype, stride), TensorSpec((units, shape[-1]), dtype)
    if dtype == "float32":
        return [data, weight, TensorSpec((units,), "float32")]
    return [data, weight, *[TensorSpec((units,), "int32")] * 3]


def int8_case(rows, depth, units, per_channel, relu, seed):
    """A random layer as a TFLite model, its input, and what our kernel makes of it."""
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, (rows, depth)).astype(np.int8)
    weight = rng.integers(-127, 128, (units, depth)).astype(np.int8)
    bias = rng.integers(-2000, 2000, units).astype(np.int32)
    count = units if per_channel else 1
    input_scale, weight_scales, output_scale = random_scales(rng, count)
    zero_in, zero_out = (int(z) for z in rng.integers(-128, 128, 2))
    builder = TFLiteBuilder()
    x = builder.input("data", data.shape, "int8", scale=input_scale, zero_point=zero_in)
    w = builder.constant("weight", weight, scale=list(weight_scales))
    b = builder.constant("bias", bias, scale=list(input_scale * weight_scales))
    out = builder.tensor("out", (rows, units), "int8", scale=output_scale, zero_point=zero_out)
    builder.operator(
        "FULLY_CONNECTED",
        [x, w, b],
        [out],
        version=4,
        fused_activation_function="RELU" if relu else "NONE",
    )
    model = builder.build([out])
    multiplier, shift = dense_factors(input_scale, weight_scales, output_scale, units)
    minimum, maximum = activation_range(output_scale, zero_out, 0.0 if relu else None)
    kernel = RowKernel(
        "dense",
        specs(data.shape, units, "int8"),
        input_zero_point=zero_in,
        output_zero_point=zero_out,
        minimum=minimum,
        maximum=maximum,
    )
    return model, data, kernel.run_rows(data, weight, bias, multiplier, shift)


@cases(15)
@given(lengths, lengths, lengths, st.booleans(), st.booleans(), seeds)
def test_int8_is_within_one_of_litert(rows, depth, units, per_channel, relu, seed):
    # LiteRT's reference kernel multiplies by the factor in floating point.
    model, data, actual = int8_case(rows, depth, units, per_channel, relu, seed)
    (expected,) = run_litert_reference(model, {"data": data})
    assert np.abs(actual.astype(int) - expected).max() <= 1


@cases(15)
@given(lengths, lengths, lengths, st.booleans(), st.booleans(), seeds)
def test_int8_is_tflite_micro(rows, depth, units, per_channel, relu, seed):
    model, data, actual = int8_case(rows, depth, units, per_channel, relu, seed)
    (expected,) = run_tflite_micro(model, [data])
    np.testing.assert_array_equal(actual, expected)


@cases(10)
@given(
    st.lists(st.integers(1, 4), min_size=0, max_size=3),
    lengths,
    lengths,
    seeds,
    st.sampled_from([(None, None), (0.0, None), (0.0, 1.0)]),
)
def test_float_is_numpy(leading, depth, units, seed, bounds):
    rng = np.random.default_rng(seed)
    shape = (*leading, depth)
    data = rng.normal(size=shape).astype(np.float32)
    weight = rng.normal(size=(units, depth)).astype(np.float32)
    bias = rng.normal(size=units).astype(np.float32)
    low, high = bounds
    kernel = RowKernel("dense", specs(shape, units, "float32"), minimum=low, maximum=high)
    expected = data.astype(np.float64) @ weight.T.astype(np.float64) + bias
    expected = np.clip(expected, -np.inf if low is None else low, np.inf if high is None else high)
    np.testing.assert_allclose(kernel.run_rows(data, weight, bias), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_rows_and_strides(dtype):
    rng = np.random.default_rng(1)
    shape, units = (2, 3, 4, 5), 6
    data = rng.integers(-100, 100, shape).astype(dtype)
    weight = rng.integers(-100, 100, (units, 5)).astype(dtype)
    vectors = [rng.integers(-100, 100, units).astype("float32" if dtype == "float32" else "int32")]
    if dtype == "int8":
        vectors += list(convolution_factors(0.1, 0.02, 0.3, units))
    dense = RowKernel("dense", specs(shape, units, dtype))
    expected = dense.run_rows(data, weight, *vectors)
    strided = RowKernel("dense", specs(shape, units, dtype, 9), out_pixel_stride=8)
    np.testing.assert_array_equal(strided.run_rows(data, weight, *vectors), expected)
    assert_reads_only_needed_rows(strided, [data, weight, *vectors])
    assert strided.operator.macs(strided.signature) == 2 * 3 * 4 * 5 * 6
    assert strided.operator.operator_class(strided.signature) is OperatorClass.POINTWISE


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([((2, 3), "float32"), ((4, 5), "float32"), ((4,), "float32")], "do not fit"),
        ([((2, 3), "float32"), ((4, 3), "float32"), ((3,), "float32")], "bias must be 4"),
        ([((2, 3), "float32"), ((4, 3), "float32")], "bias float32; got float32, float32$"),
        (
            [((2, 3), "int8"), ((4, 3), "int8"), ((4,), "int32")],
            "shift int32; got int8, int8, int32$",
        ),
        ([((2, 3), "uint8"), ((4, 3), "uint8"), ((4,), "int32")], "float32, int8 or int16"),
        (
            [((2, 3), "float32"), ((4, 3), "int8"), ((4,), "float32")],
            "takes data float32, weight float32",
        ),
    ],
)
def test_errors(inputs, reason):
    with pytest.raises(ValueError, match=reason):
        RowKernel("dense", [TensorSpec(shape, dtype) for shape, dtype in inputs])


def test_factors_beyond_int8_saturate():
    """A factor of 2**40 would not fit in 32 bits, nor would its products."""
    data = np.array([[-128], [-1], [0], [1], [127]], np.int8)
    multiplier, shift = convolution_factors(1024.0, 1024.0, 2.0**-20, channels=1)
    dense = RowKernel("dense", specs(data.shape, 1, "int8"), output_zero_point=-7)
    found = dense.run_rows(data, np.int8([[127]]), np.zeros(1, "int32"), multiplier, shift)
    assert found.ravel().tolist() == [-128, -128, -7, 127, 127]


def test_factors_of_one_scale_are_products_in_float32():
    scales = (0.1234567, 0.0076543, 0.0334455)
    single = dense_factors(*scales, units=1)
    product = np.float32(scales[0]) * np.float32(scales[1])
    mantissa, exponent = np.frexp(float(product) / float(np.float32(scales[2])))
    assert (single[0][0], single[1][0]) == (round(mantissa * 2**31), exponent)
    assert convolution_factors(*scales, channels=1)[0][0] != single[0][0]
