"""Integers of another scale, and softmax in int16, against LiteRT."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec, operator_of
from relax_passes.operators.fixed_point import quantize_multiplier
from relax_passes.operators.quantized import softmax_factors
from tests.compiled.operator_checks import check_kernel
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

TYPES = [("int16", "int8"), ("int8", "int16"), ("int16", "int16"), ("int16", "int32")]


def zero_points(draw: st.DrawFn, dtype: str) -> int:
    return draw(st.integers(-128, 127)) if dtype == "int8" else 0


@st.composite
def conversions(draw: st.DrawFn) -> tuple[tuple[str, str], int, int, float, float, int]:
    types = draw(st.sampled_from(TYPES))
    zeros = [zero_points(draw, dtype) for dtype in types]
    scales = [draw(st.floats(2**-13, 0.5, width=32)) for _ in types]
    return types, zeros[0], zeros[1], scales[0], scales[1], draw(st.integers(0, 99))


@given(conversions())
@cases(30)
def test_requantize(case) -> None:
    (source, target), zero_in, zero_out, scale, out_scale, seed = case
    limits = np.iinfo(source)
    rng = np.random.default_rng(seed)
    data = rng.integers(limits.min, limits.max + 1, (2, 3, 5)).astype(source)
    b = TFLiteBuilder()
    x = b.input("x", data.shape, source, scale=scale, zero_point=zero_in)
    y = b.tensor("y", data.shape, target, scale=out_scale, zero_point=zero_out)
    b.operator("QUANTIZE", [x], [y])
    (expected,) = run_litert_reference(b.build([y]), {"x": data})
    factor = float(np.float32(scale)) / float(np.float32(out_scale))
    multiplier, shift = quantize_multiplier(factor)
    check_kernel(
        "requantize",
        [data],
        expected,
        input_zero_point=zero_in,
        output_zero_point=zero_out,
        multiplier=multiplier,
        shift=shift,
        dtype=target,
    )


@given(st.integers(1, 9), st.floats(2**-9, 0.5, width=32), st.integers(0, 99))
@cases(20)
def test_softmax_in_int16(channels: int, scale: float, seed: int) -> None:
    data = np.random.default_rng(seed).integers(-128, 128, (3, channels)).astype(np.int8)
    b = TFLiteBuilder()
    x = b.input("x", data.shape, "int8", scale=scale, zero_point=4)
    y = b.tensor("y", data.shape, "int16", scale=1 / 65536, zero_point=-32768)
    b.operator("SOFTMAX", [x], [y])
    (expected,) = run_litert_reference(b.build([y]), {"x": data})
    factors = softmax_factors(float(np.float32(scale)))
    check_kernel("softmax", [data], expected, output="int16", **factors)


@pytest.mark.parametrize(
    ("operator", "dtype", "attrs", "message"),
    [
        ("requantize", "float32", {"dtype": "int8"}, "takes one tensor of int8 or int16"),
        ("requantize", "int8", {"dtype": "uint8"}, "dtype must be one of int8, int16, int32"),
        ("softmax", "float32", {"output": "int16"}, "softmax of float32 does not give int16"),
    ],
)
def test_refusals(operator: str, dtype: str, attrs: dict[str, str], message: str) -> None:
    found = operator_of(f"dero.{operator}")
    with pytest.raises(ValueError, match=message):
        found.infer((TensorSpec((2, 4), dtype),), {**found.defaults, **attrs})
