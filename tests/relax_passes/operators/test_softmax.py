"""Softmax kernels against NumPy and LiteRT's reference kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from relax_passes.operators.quantized import softmax_factors
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import (
    RowKernel,
    assert_in_place,
    assert_reads_only_needed_rows,
)
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

shapes = st.one_of(
    st.tuples(st.integers(1, 40)),
    st.tuples(st.integers(1, 4), st.integers(1, 40)),
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9)),
)


def litert_softmax(data, scale, zero_point, beta=1.0):
    builder = TFLiteBuilder()
    x = builder.input("data", data.shape, "int8", scale=scale, zero_point=zero_point)
    out = builder.tensor("out", data.shape, "int8", scale=1 / 256, zero_point=-128)
    builder.operator("SOFTMAX", [x], [out], version=2, beta=beta)
    return run_litert_reference(builder.build([out]), {"data": data})[0]


@cases(20)
@given(shapes, st.floats(-6, 4), st.floats(0.3, 2.0), st.integers(0, 2**32 - 1), st.booleans())
def test_int8_is_litert(shape, exponent, beta, seed, narrow):
    scale, beta = float(np.float32(10**exponent)), float(np.float32(beta))
    rng = np.random.default_rng(seed)
    low, high = (-6, 7) if narrow else (-128, 128)
    data = rng.integers(low, high, shape).astype(np.int8)
    kernel = RowKernel("softmax", [TensorSpec(shape, "int8")], **softmax_factors(scale, beta))
    np.testing.assert_array_equal(kernel.run_rows(data), litert_softmax(data, scale, 3, beta))


def test_every_difference_that_int8_can_have():
    differences = np.arange(-255, 1)
    data = np.stack([np.full(256, 127), 127 + differences], axis=-1).astype(np.int8)
    for scale in (0.001, 0.02, 0.125, 0.3, 2.0):
        scale = float(np.float32(scale))
        kernel = RowKernel("softmax", [TensorSpec(data.shape, "int8")], **softmax_factors(scale))
        np.testing.assert_array_equal(kernel.run_rows(data), litert_softmax(data, scale, 0))


@pytest.mark.parametrize("classes", [250, 300, 511])
def test_many_equal_classes(classes):
    data = np.full((1, classes), 5, np.int8)
    data[0, 3] = 9
    kernel = RowKernel("softmax", [TensorSpec(data.shape, "int8")], **softmax_factors(0.25))
    np.testing.assert_array_equal(kernel.run_rows(data), litert_softmax(data, 0.25, 0))


def test_more_classes_than_litert_can_divide_by():
    # LiteRT stops the program when the exponentials add up to 2**9 or more.
    data = np.full((1, 2000), 5, np.int8)
    kernel = RowKernel("softmax", [TensorSpec(data.shape, "int8")], **softmax_factors(0.25))
    assert (kernel.run_rows(data) == -128).all()
    data[0, 7] = 50
    power = np.exp(0.25 * data[0].astype(float))
    expected = 256 * power / power.sum() - 128
    assert np.abs(kernel.run_rows(data)[0] - expected).max() <= 1


def test_as_many_equal_classes_as_the_sum_has_room_for():
    data = np.full((1, 4095), -9, np.int8)
    kernel = RowKernel("softmax", [TensorSpec(data.shape, "int8")], **softmax_factors(0.25))
    assert (kernel.run_rows(data) == -128).all()


@cases(10)
@given(shapes, st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 30.0]))
def test_float_is_numpy(shape, seed, spread):
    data = (np.random.default_rng(seed).normal(size=shape) * spread).astype(np.float32)
    power = np.exp(data.astype(np.float64) - data.max(-1, keepdims=True))
    kernel = RowKernel("softmax", [TensorSpec(shape, "float32")])
    np.testing.assert_allclose(
        kernel.run_rows(data), power / power.sum(-1, keepdims=True), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_rows_strides_and_in_place(dtype):
    data = np.random.default_rng(5).integers(-100, 100, (2, 3, 2, 5)).astype(dtype)
    attrs = softmax_factors(0.1) if dtype == "int8" else {}
    expected = RowKernel("softmax", [TensorSpec(data.shape, dtype)], **attrs).run_rows(data)
    strided = RowKernel("softmax", [TensorSpec(data.shape, dtype, 7)], out_pixel_stride=7, **attrs)
    np.testing.assert_array_equal(strided.run_rows(data), expected)
    assert_reads_only_needed_rows(strided, [data])
    assert_in_place(strided, [data])
    apart = RowKernel("softmax", [TensorSpec(data.shape, dtype, 7)], out_pixel_stride=6, **attrs)
    np.testing.assert_array_equal(apart.run_rows(data), expected)
    assert apart.operator.in_place_arguments(apart.signature) == ()


def test_errors():
    with pytest.raises(ValueError, match="needs multiplier"):
        RowKernel("softmax", [TensorSpec((1, 4), "int8")])
    with pytest.raises(ValueError, match="float32, int8 or int16"):
        RowKernel("softmax", [TensorSpec((1, 4), "int32")])
    with pytest.raises(ValueError, match="at most 4095 channels"):
        RowKernel("softmax", [TensorSpec((1, 4096), "int8")], **softmax_factors(0.25))
    with pytest.raises(ValueError, match="too small"):
        softmax_factors(1e-9)


@cases(10)
@given(shapes, st.floats(-1, 2), st.integers(0, 2**32 - 1))
def test_logarithm(shape, exponent, seed):
    data = np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 10**exponent
    exact = data.astype(np.float64) - data.max(axis=-1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(axis=-1, keepdims=True))
    attrs = {"logarithm": True}
    check_kernel("softmax", [data.astype(np.float32)], exact.astype(np.float32), rtol=2e-6, **attrs)
