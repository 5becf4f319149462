"""int8 operators that only TFLite has, row by row and bit by bit against LiteRT's kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import OperatorClass, TensorSpec, operator_of, quantized
from tests.compiled.operator_checks import check_kernel, random_array
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 2), *[st.integers(1, 7)] * 3)
gaps = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
zero_points = st.integers(-128, 127)


def litert(code, arrays, quantizations, **options):
    """LiteRT's answer; the last of `quantizations` is the output's."""
    builder = TFLiteBuilder()
    names = [f"operand_{index}" for index in range(len(arrays))]
    *own, out = [{"scale": scale, "zero_point": zero} for scale, zero in quantizations]
    operands = [
        builder.input(name, array.shape, "int8", **quantization)
        for name, array, quantization in zip(names, arrays, own)
    ]
    if "size" in options:
        operands.append(builder.constant("size", np.array(options.pop("size"), "int32")))
    result = builder.tensor("out", None, "int8", **out)
    builder.operator(code, operands, [result], **options)
    (expected,) = run_litert_reference(builder.build([result]), dict(zip(names, arrays)))
    return expected


def scales(exponents):
    return [float(np.float32(2.0**exponent)) for exponent in exponents]


@given(
    shapes,
    st.sampled_from([(1, 1, 1), (0, 0, 1), (0, 1, 1), (1, 0, 1), (0, 0, 0)]),
    st.tuples(st.floats(-10, 2), st.floats(-8, 2), st.floats(-4, 4)),
    st.tuples(zero_points, zero_points, zero_points),
    gaps,
    seeds,
)
@cases(25)
def test_prelu(shape, kept, exponents, zero_points, gaps, seed):
    rng = np.random.default_rng(seed)
    slopes = tuple(n if keep else 1 for n, keep in zip(shape[1:], kept))
    arrays = [random_array(rng, shape, "int8"), random_array(rng, slopes, "int8")]
    data, slope, ratio = exponents
    of = scales([data, slope, data + ratio])
    expected = litert("PRELU", arrays, list(zip(of, zero_points)))
    attrs = {"zero_points": zero_points, **quantized.prelu_factors(*of)}
    check_kernel("prelu", arrays, expected, gaps=gaps[:2], out_gap=gaps[2], **attrs)


@given(
    shapes,
    st.sampled_from([(1, 1, 1, 1), (1, 1, 1, 0), (1, 0, 0, 1), (0, 0, 0, 0)]),
    st.tuples(st.floats(-10, 2), st.floats(-8, 8), st.floats(-11, 4)),
    st.tuples(zero_points, zero_points, zero_points),
    st.booleans(),
    gaps,
    seeds,
)
@cases(25)
def test_squared_difference(shape, kept, exponents, zero_points, swapped, gaps, seed):
    rng = np.random.default_rng(seed)
    part = tuple(n if keep else 1 for n, keep in zip(shape, kept))
    arrays = [random_array(rng, shape, "int8"), random_array(rng, part, "int8")]
    arrays = arrays[::-1] if swapped else arrays
    data, ratio, of_output = exponents
    of = scales([data, data + ratio, 2 * max(data, data + ratio) + of_output])
    expected = litert("SQUARED_DIFFERENCE", arrays, list(zip(of, zero_points)))
    attrs = {"zero_points": zero_points, **quantized.squared_difference_factors(*of)}
    check_kernel("squared_difference", arrays, expected, gaps=gaps[:2], out_gap=gaps[2], **attrs)


def test_squared_difference_of_a_tiny_output_scale():
    with pytest.raises(ValueError, match="output scale is too small"):
        quantized.squared_difference_factors(1.0, 1.0, 1 / 8192)


@given(
    shapes,
    st.tuples(st.integers(1, 15), st.integers(1, 15)),
    st.sampled_from(["asymmetric", "half_pixel", "align_corners"]),
    gaps,
    seeds,
)
@cases(40)
def test_resize_bilinear(shape, size, coordinates, gaps, seed):
    array = random_array(np.random.default_rng(seed), shape, "int8")
    options = {
        "half_pixel": {"half_pixel_centers": True},
        "align_corners": {"align_corners": True},
    }.get(coordinates, {})
    expected = litert("RESIZE_BILINEAR", [array], [(0.1, 3)] * 2, size=size, **options)
    kernel = check_kernel(
        "resize_bilinear",
        [array],
        expected,
        gaps=gaps[:1],
        out_gap=gaps[1],
        size=size,
        coordinates=coordinates,
        in_place=(),
    )
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.RESIZE


@pytest.mark.parametrize(
    ("name", "specs", "attrs", "message"),
    [
        ("prelu", [(1, 2), (2, 2)], {"zero_points": (0,) * 3}, "too many"),
        ("prelu", [(1, 2), (1, 2)], {"zero_points": (0,)}, "needs 3 zero_points"),
        ("squared_difference", [(2,), (2,)], {"zero_points": (0,)}, "needs 3 zero_points"),
        ("resize_bilinear", [(2, 3)], {"size": (4, 4)}, "takes NHWC data"),
        ("resize_bilinear", [(1, 2, 3, 4)], {"size": (4,)}, "size must be"),
        ("resize_bilinear", [(1, 2, 3, 4)], {"size": (4, 4), "coordinates": "x"}, "coordinates"),
    ],
)
def test_refusals(name, specs, attrs, message):
    operator = operator_of(f"dero.{name}")
    factors = {"multipliers": (0, 0), "shifts": (0, 0)}
    inputs = tuple(TensorSpec(shape, "int8") for shape in specs)
    with pytest.raises(ValueError, match=message):
        operator.infer(inputs, {**operator.defaults, **factors, **attrs})
