"""Reduction kernels against NumPy, LiteRT's reference kernels and TensorFlow Lite Micro."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import OperatorClass, TensorSpec
from relax_passes.operators.quantized import mean_factors, rescale_factors
from tests.compiled.row_kernel_runner import RowKernel, assert_reads_only_needed_rows
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.oracles.tflite_micro_runner import run_tflite_micro
from tests.random_cases import cases

NUMPY = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}
CASES = cases(15)
# Of the output's scale to one that fits; the extreme ones saturate, or leave the zero point.
ratios = st.floats(0.4, 2.0) | st.floats(-7, 7).map(lambda exponent: 10**exponent)


@st.composite
def reductions(draw):
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    axes = tuple(draw(st.sets(st.integers(0, rank - 1), min_size=1)))
    return shape, axes, draw(st.booleans())


def litert_model(kind, shape, axes, keepdims, quantization):
    input_scale, zero_in, output_scale, zero_out = quantization
    operator = {"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX", "min": "REDUCE_MIN"}[kind]
    builder = TFLiteBuilder()
    x = builder.input("data", shape, "int8", scale=input_scale, zero_point=zero_in)
    axis = builder.constant("axis", np.array(axes, np.int32))
    out_shape = NUMPY[kind](np.zeros(shape), axis=axes, keepdims=keepdims).shape
    out = builder.tensor("out", out_shape, "int8", scale=output_scale, zero_point=zero_out)
    builder.operator(operator, [x, axis], [out], version=2, keep_dims=keepdims)
    return builder.build([out])


def int8_case(kind, reduction, seed, ratio):
    """A reduction as a TFLite model, its input, and what our kernel makes of it."""
    shape, axes, keepdims = reduction
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, shape).astype(np.int8)
    count = int(np.prod([shape[axis] for axis in axes]))
    input_scale = float(np.float32(10 ** rng.uniform(-6, 3)))
    scale = input_scale * (count**0.5 if kind == "sum" else 1) * ratio
    zero_in, zero_out = (int(z) for z in rng.integers(-128, 128, 2))
    quantization = (input_scale, zero_in, float(np.float32(scale)), zero_out)
    attrs = {"input_zero_point": zero_in, "output_zero_point": zero_out}
    if kind == "mean":
        attrs["multiplier"], attrs["shift"] = mean_factors(input_scale, scale, count)
    elif kind == "sum":
        attrs["multiplier"], attrs["shift"] = rescale_factors(input_scale, scale)
    else:
        quantization = (input_scale, zero_in, input_scale, zero_in)
        attrs = {}
    kernel = RowKernel(
        "reduce", [TensorSpec(shape, "int8")], kind=kind, axes=axes, keepdims=keepdims, **attrs
    )
    return litert_model(kind, shape, axes, keepdims, quantization), data, kernel.run_rows(data)


# LiteRT's own SUM does not subtract the zero points (2.1), TensorFlow Lite Micro's does.
@pytest.mark.parametrize("kind", ["max", "mean", "min"])
def test_int8_is_litert(kind):
    @CASES
    @given(reductions(), st.integers(0, 2**32 - 1), ratios)
    def run(reduction, seed, ratio):
        model, data, actual = int8_case(kind, reduction, seed, ratio)
        (expected,) = run_litert_reference(model, {"data": data})
        np.testing.assert_array_equal(actual, expected)

    run()


@CASES
@given(reductions(), st.integers(0, 2**32 - 1), ratios)
def test_int8_sum_is_tflite_micro(reduction, seed, ratio):
    model, data, actual = int8_case("sum", reduction, seed, ratio)
    (expected,) = run_tflite_micro(model, [data])
    np.testing.assert_array_equal(actual, expected)


def test_int8_sum_in_numbers():
    data = np.array([[-5, 10, 20], [7, 7, 7]], np.int8)
    multiplier, shift = rescale_factors(0.5, 1.0)
    kernel = RowKernel(
        "reduce",
        [TensorSpec(data.shape, "int8")],
        kind="sum",
        axes=(1,),
        input_zero_point=7,
        output_zero_point=-3,
        multiplier=multiplier,
        shift=shift,
    )
    assert kernel.run_rows(data).tolist() == [-1, -3]  # -12 + 3 + 13 = 4, and 0


@CASES
@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_global_int8_mean_is_tflite_micro(height, width, keepdims, seed):
    reduction = ((1, height, width, 4), (1, 2), keepdims)
    model, data, actual = int8_case("mean", reduction, seed, ratio=0.8)
    (expected,) = run_tflite_micro(model, [data])
    np.testing.assert_array_equal(actual, expected)


@CASES
@given(st.sampled_from(sorted(NUMPY)), reductions(), st.booleans(), st.integers(0, 2**32 - 1))
def test_float_is_numpy(kind, reduction, bounded, seed):
    shape, axes, keepdims = reduction
    data = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    bounds = {"minimum": -0.5, "maximum": 0.75} if bounded else {}
    kernel = RowKernel(
        "reduce", [TensorSpec(shape, "float32")], kind=kind, axes=axes, keepdims=keepdims, **bounds
    )
    expected = NUMPY[kind](data, axis=axes, keepdims=keepdims)
    expected = expected.clip(bounds.get("minimum"), bounds.get("maximum")) if bounds else expected
    np.testing.assert_allclose(kernel.run_rows(data), expected, rtol=1e-5, atol=1e-5)


def all_axes(rank):
    for count in range(1, rank + 1):
        yield from itertools.combinations(range(rank), count)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", list(all_axes(4)))
def test_rows_and_strides(axes, keepdims):
    data = np.random.default_rng(7).integers(-9, 9, (2, 3, 4, 2)).astype(np.float32)
    stride = 5
    kernel = RowKernel(
        "reduce",
        [TensorSpec(data.shape, "float32", stride)],
        kind="sum",
        axes=axes,
        keepdims=keepdims,
        out_pixel_stride=7,
    )
    expected = data.sum(axis=axes, keepdims=keepdims)
    np.testing.assert_array_equal(kernel.run_rows(data), expected)
    assert_reads_only_needed_rows(kernel, [data])


def test_needed_rows_are_no_more_than_the_sum_has():
    def needed(shape, axes, keepdims, row):
        kernel = RowKernel(
            "reduce", [TensorSpec(shape, "float32")], kind="sum", axes=axes, keepdims=keepdims
        )
        assert kernel.operator.operator_class(kernel.signature) is OperatorClass.REDUCTION
        return kernel.operator.needed_rows(kernel.signature, 0, row)

    shape = (2, 5, 3, 4)
    assert needed(shape, (3,), False, 7) == (7, 8)  # over channels: row by row
    assert needed(shape, (2,), False, 7) == (7, 8)  # over the width: row by row
    assert needed(shape, (-2, -1), True, 7) == (7, 8)
    assert needed(shape, (1,), True, 1) == (5, 10)  # over the height: one image
    assert needed(shape, (1, 2), True, 1) == (5, 10)
    assert needed(shape, (1, 2), False, 1) == (5, 10)
    assert needed((6, 4), (1,), True, 3) == (3, 4)
    assert needed((6, 4), (1,), False, 0) == (0, 6)  # a vector is one row


def test_clamp():
    data = np.array([[-3, 4]], np.float32)
    kernel = RowKernel(
        "reduce",
        [TensorSpec(data.shape, "float32")],
        kind="sum",
        axes=(0,),
        minimum=0.0,
        maximum=3.0,
    )
    assert kernel.run_rows(data).tolist() == [0.0, 3.0]


@pytest.mark.parametrize(
    ("dtype", "attrs", "reason"),
    [
        ("int8", {"kind": "mean"}, "needs a multiplier"),
        ("int32", {"kind": "max"}, "float32, int8 or int16"),
        ("float32", {"kind": "median"}, "kind"),
        ("float32", {"kind": "sum", "axes": (2,)}, "rank 2"),
    ],
)
def test_errors(dtype, attrs, reason):
    with pytest.raises(ValueError, match=reason):
        RowKernel("reduce", [TensorSpec((3, 4), dtype)], **{"axes": (1,), **attrs})
