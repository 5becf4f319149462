"""Functions of one int8 variable as tables of 256 entries, filled at compile time.

The table of a function has ``table[q + 128]`` for the quantized input `q`, the form the operator
``lookup`` takes.  Each function computes, entry by entry, what LiteRT's reference kernel and
TensorFlow Lite Micro compute for the operator of that name, or for scales that they refuse, the
float function rounded to the nearest.  `table_of` goes through float arithmetic and serves models
quantized by other tools.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import fixed_point_functions as functions
from .fixed_point import INT8, INT8_MAX, INT8_MIN, multiply_numpy, quantize_multiplier
from .quantized import activation_range, requantization, rescale_factors

_INT16_MIN, _INT16_MAX = -(1 << 15), (1 << 15) - 1
_STEEP = 8.0  # input scales of logistic and tanh from which fixed point has no bits left


class Scales(NamedTuple):
    """What input and output stand for: ``scale * (integer - zero_point)``."""

    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int

    @property
    def centred(self) -> np.ndarray:
        """Every input less its zero point."""
        return INT8 - self.input_zero_point

    @property
    def real(self) -> np.ndarray:
        """What every input stands for, in float32."""
        return np.float32(self.input_scale) * self.centred.astype(np.float32)


def table_of(
    function: Callable[[np.ndarray], np.ndarray], s: Scales, rounding: str = "half_even"
) -> np.ndarray:
    """Dequantize, apply a float function, quantize: what ONNX's Q/DQ pairs mean.

    `function` maps a float32 array to an array of the same shape.  `rounding` is ``half_even``
    (ONNX QuantizeLinear) or ``half_away`` (TFLite QUANTIZE).  A result that is NaN
    becomes the zero point.
    """
    with np.errstate(all="ignore"):
        result = np.asarray(function(s.real), np.float32) / np.float32(s.output_scale)
    result = np.nan_to_num(result, nan=0.0)
    if rounding == "half_even":
        rounded = np.rint(result)
    elif rounding == "half_away":
        rounded = _round_half_away(result)
    else:
        raise ValueError(f"rounding must be 'half_even' or 'half_away', not {rounding!r}")
    return _int8(np.clip(rounded, -1e6, 1e6) + s.output_zero_point)


def requantize(s: Scales) -> np.ndarray:
    """QUANTIZE from int8 to int8."""
    factor = rescale_factors(s.input_scale, s.output_scale)
    return _int8(_scaled(s.centred, factor) + s.output_zero_point)


def concat_unsigned(s: Scales) -> np.ndarray:
    """An operand of CONCATENATION of another scale, of uint8 tensors less 128, in float32."""
    factor = np.float32(s.input_scale) * (np.float32(1) / np.float32(s.output_scale))
    offset = np.float32(-(s.input_zero_point + 128)) * factor
    scaled = (INT8 + 128).astype(np.float32) * factor + offset
    return _int8(np.clip(_round_half_away(scaled), -1e6, 1e6) + s.output_zero_point)


def relu(s: Scales, low: float | None = 0.0, high: float | None = None) -> np.ndarray:
    """RELU; RELU6 with ``high=6``; RELU_N1_TO_1 and RELU_0_TO_1 with both bounds."""
    factor = _factor(s)
    minimum, maximum = activation_range(s.output_scale, s.output_zero_point, low, high)
    scaled = _scaled(s.centred, factor) + s.output_zero_point
    return _int8(np.clip(scaled, minimum, maximum))


def leaky_relu(s: Scales, alpha: float) -> np.ndarray:
    """LEAKY_RELU with slope `alpha` (any sign) for negative inputs."""
    slope = np.float32(s.input_scale) * np.float32(alpha) / np.float32(s.output_scale)
    values = s.centred
    positive = _scaled(values, _factor(s))
    negative = _scaled(values, requantization(abs(float(slope))))
    if slope < 0:
        negative = -negative
    return _int8(np.where(values >= 0, positive, negative) + s.output_zero_point)


def logistic(s: Scales) -> np.ndarray:
    """LOGISTIC, in fixed point to LiteRT's output scale 1 / 256 and zero point -128."""
    fixed = (np.float32(s.output_scale), s.output_zero_point) == (1 / 256, INT8_MIN)
    if not fixed or s.input_scale >= _STEEP:
        return table_of(lambda x: 1 / (1 + np.exp(-x)), s, rounding="half_away")
    inside, q4 = _on_scale_of_sixteen(s)
    result = functions.round_shift(functions.logistic(q4), 31 - 8) - 128
    return _int8(np.where(inside, result, np.where(INT8 > s.input_zero_point, INT8_MAX, INT8_MIN)))


def tanh(s: Scales) -> np.ndarray:
    """TANH, in fixed point to LiteRT's output scale 1 / 128 and zero point 0."""
    fixed = (np.float32(s.output_scale), s.output_zero_point) == (1 / 128, 0)
    if not fixed or s.input_scale >= _STEEP:
        return table_of(np.tanh, s, rounding="half_away")
    inside, q4 = _on_scale_of_sixteen(s)
    result = functions.round_shift(functions.tanh(q4), 31 - 7)
    return _int8(np.where(inside, result, np.where(INT8 > s.input_zero_point, INT8_MAX, INT8_MIN)))


def elu(s: Scales) -> np.ndarray:
    """ELU with alpha 1, the only one TFLite has."""
    return _float_table(lambda x: np.where(x < 0, _float32(np.expm1, np.minimum(x, 0)), x), s)


def exp(s: Scales) -> np.ndarray:
    """EXP."""
    return _float_table(lambda x: _float32(np.exp, x), s)


def log(s: Scales) -> np.ndarray:
    """LOG; inputs of zero and below give the smallest output."""
    smallest = np.float32(INT8_MIN - s.output_zero_point) * np.float32(s.output_scale)
    return _float_table(
        lambda x: np.where(x > 0, _float32(np.log, np.where(x > 0, x, 1)), smallest), s
    )


def gelu(s: Scales, approximate: bool = False) -> np.ndarray:
    """GELU, with the error function or with its tanh approximation."""
    erfc = np.vectorize(math.erfc, otypes=[np.float64])

    def exact(x: np.ndarray) -> np.ndarray:
        # By the complement, as LiteRT has it: 1 + erf(x) loses what is small, and rounds otherwise.
        return np.float32(0.5) * x * _float32(erfc, x * np.float32(-math.sqrt(0.5)))

    def by_tanh(x: np.ndarray) -> np.ndarray:
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
        return np.float32(0.5) * x * (np.float32(1) + _float32(np.tanh, inner))

    return _float_table(by_tanh if approximate else exact, s)


def sqrt(s: Scales) -> np.ndarray:
    """SQRT, which LiteRT rounds down; inputs below zero count as zero."""
    real = np.maximum(s.real, 0)
    return _int8(np.floor(np.sqrt(real) / np.float32(s.output_scale)) + s.output_zero_point)


def rsqrt(s: Scales) -> np.ndarray:
    """RSQRT; inputs of zero and below give the largest output."""
    root = np.sqrt(np.float32(s.input_scale))
    multiplier, shift = quantize_multiplier(1.0 / float(root * np.float32(s.output_scale)))
    extra = 20  # fractional bits of the intermediate result
    table = []
    for value in s.centred.tolist():
        if value <= 0:
            table.append(INT8_MAX)
            continue
        root_multiplier, root_shift = functions.inverse_sqrt(value)
        inverse = multiply_numpy(np.int64(1), root_multiplier, root_shift + extra, "double")
        scaled = multiply_numpy(inverse, multiplier, shift - extra, "double")
        table.append(int(scaled) + s.output_zero_point)
    return _int8(np.array(table))


def absolute(s: Scales) -> np.ndarray:
    """ABS."""
    values = np.abs(s.centred)
    if np.float32(s.input_scale) != np.float32(s.output_scale):
        values = _scaled(values, _factor(s))
    return _int8(values + s.output_zero_point)


def hard_swish(s: Scales) -> np.ndarray:
    """HARD_SWISH, ``x * relu6(x + 3) / 6``, in 16-bit fixed point."""
    # The input is held with 7 more bits; 3.0 is 2**15 on the scale of the factor in [0, 1].
    fine_scale = np.float32(1 / 128) * np.float32(s.input_scale)
    output_factor, output_shift = _int16_factor(fine_scale / np.float32(s.output_scale))
    unit_factor, unit_shift = _int16_factor(fine_scale / np.float32(3 / 32768))
    if output_shift > 0:
        return table_of(lambda x: x * np.clip(x + 3, 0, 6) / 6, s, rounding="half_away")
    fine = s.centred << 7
    unshifted = functions.doubling_high(fine, output_factor, bits=15)

    unit = fine
    if unit_shift > 0:
        unit = _int16(unit << (unit_shift - 1))
    unit = functions.doubling_high(unit, unit_factor, bits=15)
    if unit_shift > 0:
        unit = _int16(unit << 1)
    if unit_shift < 0:
        unit = functions.round_shift(unit, -unit_shift)
    unit = (unit + (1 << 15)) >> 1

    product = unit * unshifted
    product = np.sign(product) * (np.abs(product) >> 15)
    return _int8(functions.round_shift(product, -output_shift) + s.output_zero_point)


def _float_table(function: Callable[[np.ndarray], np.ndarray], s: Scales) -> np.ndarray:
    """A table filled as LiteRT's ``LUTPopulate`` does, in float32.

    It multiplies by the reciprocal of the output scale, where `table_of` divides.
    """
    inverse = np.float32(1) / np.float32(s.output_scale)
    with np.errstate(over="ignore"):
        rounded = _round_half_away(np.asarray(function(s.real), np.float32) * inverse)
    return _int8(np.clip(rounded, -1e6, 1e6) + s.output_zero_point)


def _on_scale_of_sixteen(s: Scales) -> tuple[np.ndarray, np.ndarray]:
    """Which inputs lie within +-15, and all inputs in Q4.27 (those outside as 0)."""
    multiplier, shift = quantize_multiplier(float(np.float32(s.input_scale)) * (1 << 27))
    radius = math.floor(15 * (1 << 27) / 2.0**shift)
    inside = np.abs(s.centred) < radius
    return inside, _scaled(np.where(inside, s.centred, 0), (multiplier, shift))


def _float32(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """`function` rounded correctly to float32, whatever the platform's float32 version does."""
    with np.errstate(over="ignore"):
        return np.asarray(function(x.astype(np.float64))).astype(np.float32)


def _factor(s: Scales) -> tuple[int, int]:
    return requantization(float(np.float32(s.input_scale) / np.float32(s.output_scale)))


def _scaled(values: np.ndarray, factor: tuple[int, int]) -> np.ndarray:
    return multiply_numpy(values, *factor, "double")


def _int8(values: np.ndarray) -> np.ndarray:
    return np.clip(values, INT8_MIN, INT8_MAX).astype(np.int8)


def _int16(values: np.ndarray) -> np.ndarray:
    return np.clip(values, _INT16_MIN, _INT16_MAX)


def _int16_factor(factor: np.float32) -> tuple[int, int]:
    """A factor with a 16-bit multiplier: ``multiplier * 2**(shift - 15)``."""
    multiplier, shift = quantize_multiplier(float(factor))
    return min((multiplier + (1 << 15)) >> 16, _INT16_MAX), shift


def _round_half_away(values: np.ndarray) -> np.ndarray:
    """Ties away from zero, in float64: adding 0.5 in float32 would round a second time."""
    wide = np.asarray(values, np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide)
