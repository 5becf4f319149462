"""Attributes of int8 and int16 operators, computed from the scales of their operands.

LiteRT and TensorFlow Lite Micro turn the scales of a model file into integer factors when they
load it.  Which products they take in float32 and which in float64 decides the last bit of a
factor, and now and then of an output; the functions here follow TensorFlow Lite Micro, the
``*_common.cc`` files and ``kernel_util.cc``.  Scales are float32 numbers, as model files hold
them.  A factor is a pair ``(multiplier, shift)`` that means ``multiplier * 2**(shift - 31)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .fixed_point import quantize_multiplier, reduced_multiplier, type_limits

MOST_PRODUCT = 1 << 16  # of two int8 values, each less its zero point
MOST_SUM = 1 << 28  # of two operands of an addition, in its finer scale

_SATURATING = (1 << 30, 9)  # 256, as multiplier and shift
# Bits of headroom that addition and subtraction compute with.
_ADD_LEFT_SHIFT = {"int8": 20, "int16": 15}
_MOST_REDUCED_SHIFT = 7  # of a factor with a 16-bit multiplier
_SQUARE_LEFT_SHIFT = 7  # as many as leave a squared difference in 32 bits
_SOFTMAX_INTEGER_BITS = 5  # the argument of exp() has 5 integer and 26 fractional bits


def quantize_value(value: float, scale: float, zero_point: int) -> int:
    """The integer that stands for a real value, ties away from zero, not limited to a type."""
    return zero_point + int(_round_half_away(np.float32(value) / np.float32(scale)))


def activation_range(
    scale: float,
    zero_point: int,
    low: float | None = None,
    high: float | None = None,
    dtype: str = "int8",
) -> tuple[int, int]:
    """``(minimum, maximum)`` in `dtype` of a fused clamp to the reals ``[low, high]``.

    RELU is ``low=0``, RELU6 ``low=0, high=6``, RELU_N1_TO_1 ``low=-1, high=1``; None is no bound.
    """
    minimum, maximum = type_limits(dtype)
    if low is not None:
        minimum = max(minimum, quantize_value(low, scale, zero_point))
    if high is not None:
        maximum = min(maximum, quantize_value(high, scale, zero_point))
    return minimum, maximum


def convolution_factors(
    input_scale: float,
    weight_scales: float | Sequence[float],
    output_scale: float,
    channels: int,
    dtype: str = "int8",
) -> tuple[np.ndarray, np.ndarray]:
    """``(multiplier, shift)``, two int32 arrays with one entry an output channel.

    `weight_scales` is one scale, or one for every output channel.  The products are float64.
    """
    scales = _scale_per_channel(weight_scales, channels)
    products = (_f64(input_scale) * _f64(s) / _f64(output_scale) for s in scales)
    return _factor_arrays(products, dtype)


def svdf_factors(
    input_scale: float,
    feature_scale: float,
    state_scale: float,
    time_scale: float,
    output_scale: float,
) -> tuple[dict[str, int], dict[str, int]]:
    """``multiplier`` and ``shift`` of `svdf_update` and of `svdf_filter`.

    The products and quotients are float32.
    """
    scales = map(np.float32, (input_scale, feature_scale, state_scale, time_scale, output_scale))
    data, feature, state, time, out = scales
    pairs = (quantize_multiplier(float(f)) for f in (data * feature / state, state * time / out))
    first, second = ({"multiplier": m, "shift": s} for m, s in pairs)
    return first, second


def lstm_factors(
    input_scale: float,
    input_scales: Sequence[float],
    hidden_scale: float,
    recurrent_scales: Sequence[float],
    cell_scale: float,
) -> tuple[np.ndarray, np.ndarray, tuple[tuple[int, int], ...]]:
    """``multiplier``, ``shift`` and ``products`` of `lstm`.

    `input_scales` and `recurrent_scales` are those of the weights of its four gates, whose sums
    are Q3.12; gates are Q0.15.
    """
    pairs = [(input_scale, scale) for scale in input_scales]
    pairs += [(hidden_scale, scale) for scale in recurrent_scales]
    found = [dense_factors(data, weight, 2.0**-12, 1) for data, weight in pairs]
    multiplier, shift = (np.concatenate(parts) for parts in zip(*found))
    gate = 2.0**-15
    factors = (gate * cell_scale / cell_scale, gate * gate / cell_scale, gate * gate / hidden_scale)
    return multiplier, shift, tuple(quantize_multiplier(factor) for factor in factors)


def dense_factors(
    input_scale: float,
    weight_scales: float | Sequence[float],
    output_scale: float,
    units: int,
    dtype: str = "int8",
) -> tuple[np.ndarray, np.ndarray]:
    """``(multiplier, shift)``, two int32 arrays with one entry an output unit.

    With one weight scale for the whole tensor, TensorFlow Lite Micro multiplies input and weight
    scale in float32; with one a unit, in float64 as for convolutions.
    """
    scales = _scale_per_channel(weight_scales, units)
    if np.size(weight_scales) > 1:
        return convolution_factors(input_scale, weight_scales, output_scale, units, dtype)
    product = np.float32(input_scale) * np.float32(scales[0])
    return _factor_arrays([float(product) / _f64(output_scale)] * units, dtype)


def requantization(factor: float) -> tuple[int, int]:
    """``(multiplier, shift)`` of a factor >= 0 from int32 sums to a result that saturates as int8.

    From 512 on it is 256, which brings every sum but 0 beyond int8, too, whatever the zero point:
    products then stay in int32 where LiteRT's would overflow.
    """
    return _saturating(*quantize_multiplier(_not_too_large(factor)))


def requantization_of(most: int, factor: float, dtype: str) -> tuple[int, int]:
    """`requantization` to a result of `dtype`, of integers up to `most`.

    Raises ``ValueError`` where products leave 32 bits, which do not saturate in int16.
    """
    if dtype == "int8":
        return requantization(factor)
    if not most * factor < 2.0**31:
        raise ValueError(f"a requantization factor of {factor:.6g} does not fit 32-bit arithmetic")
    return quantize_multiplier(factor)


def reduced_factors(multiplier: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors with multipliers of 16 bits, for ``reduced`` rounding.

    Raises ``ValueError`` for a factor that LiteRT's 64-bit arithmetic does not take.
    """
    if (shift > _MOST_REDUCED_SHIFT).any():
        raise ValueError("a requantization factor of 128 or more does not fit 64-bit arithmetic")
    return np.array([reduced_multiplier(int(m)) for m in multiplier], np.int32), shift


def _not_too_large(factor: float) -> float:
    return min(factor, 2.0**29) if math.isfinite(factor) else factor


def _saturating(multiplier: int, shift: int) -> tuple[int, int]:
    return (multiplier, shift) if shift <= _SATURATING[1] else _SATURATING


def add_factors(
    a_scale: float, b_scale: float, output_scale: float, dtype: str = "int8"
) -> dict[str, Any]:
    """Attributes ``left_shift``, ``multipliers``, ``shifts`` (a, b, out) of an addition."""
    twice_larger = 2 * max(_f64(a_scale), _f64(b_scale))
    return _sum_attributes(
        _f64(a_scale) / twice_larger,
        _f64(b_scale) / twice_larger,
        twice_larger / ((1 << _ADD_LEFT_SHIFT[dtype]) * _f64(output_scale)),
        dtype,
    )


def subtract_factors(
    a_scale: float, b_scale: float, output_scale: float, dtype: str = "int8"
) -> dict[str, Any]:
    """Attributes ``left_shift``, ``multipliers``, ``shifts`` of a subtraction.

    The same as for an addition, but computed in float32.
    """
    a, b, output = np.float32(a_scale), np.float32(b_scale), np.float32(output_scale)
    twice_larger = np.float32(2) * max(a, b)
    return _sum_attributes(
        float(a / twice_larger),
        float(b / twice_larger),
        float(twice_larger / (np.float32(1 << _ADD_LEFT_SHIFT[dtype]) * output)),
        dtype,
    )


def multiply_factors(
    a_scale: float, b_scale: float, output_scale: float, dtype: str = "int8"
) -> tuple[int, int]:
    """``(multiplier, shift)`` of an elementwise product."""
    factor = _f64(a_scale) * _f64(b_scale) / _f64(output_scale)
    return requantization_of(1 << 30, factor, dtype)


def prelu_factors(
    input_scale: float, slope_scale: float, output_scale: float, dtype: str = "int8"
) -> dict[str, tuple[int, int]]:
    """Attributes ``multipliers`` and ``shifts`` (of kept, of scaled inputs) of a PRELU.

    Computed in float32, as LiteRT does.
    """
    data, slope, output = (np.float32(scale) for scale in (input_scale, slope_scale, output_scale))
    factors = (float(data / output), float(data * slope / output))
    limits = (1 << 15, 1 << 30)
    return _pair_of_factors(factors, limits, dtype)


def leaky_relu_factors(
    input_scale: float, alpha: float, output_scale: float, dtype: str
) -> dict[str, tuple[int, int]]:
    """The same of a LEAKY_RELU as a `prelu` whose slope is the sign of `alpha`."""
    data, output = np.float32(input_scale), np.float32(output_scale)
    factors = (float(data / output), abs(float(data * np.float32(alpha) / output)))
    return _pair_of_factors(factors, (1 << 15, 1 << 15), dtype)


def _pair_of_factors(
    factors: Sequence[float], limits: Sequence[int], dtype: str
) -> dict[str, tuple[int, int]]:
    found = [requantization_of(most, factor, dtype) for most, factor in zip(limits, factors)]
    multipliers, shifts = zip(*found)
    return {"multipliers": multipliers, "shifts": shifts}


def relu_factors(input_scale: float, output_scale: float, dtype: str) -> tuple[int, int]:
    """``(multiplier, shift)`` of RELU and its like, from one scale to another, in float32."""
    factor = float(np.float32(input_scale) / np.float32(output_scale))
    return requantization_of(1 << 15, factor, dtype)


def squared_difference_factors(
    a_scale: float, b_scale: float, output_scale: float
) -> dict[str, Any]:
    """Attributes ``left_shift``, ``multipliers``, ``shifts`` (a, b, out) of a squared difference.

    Raises ``ValueError`` for an output scale with which LiteRT's 32 bits overflow.
    """
    twice_larger = 2 * max(_f64(a_scale), _f64(b_scale))
    output = twice_larger**2 / (4**_SQUARE_LEFT_SHIFT * _f64(output_scale))
    if output >= 1.0:
        raise ValueError(
            "squared difference: the output scale is too small for int8 arithmetic (less than a "
            f"{4 ** (_SQUARE_LEFT_SHIFT - 1)}th of the square of the larger operand's)"
        )
    factors = (_f64(a_scale) / twice_larger, _f64(b_scale) / twice_larger, output)
    multipliers, shifts = zip(*(quantize_multiplier(factor) for factor in factors))
    return {"left_shift": _SQUARE_LEFT_SHIFT, "multipliers": multipliers, "shifts": shifts}


def rescale_factors(input_scale: float, output_scale: float) -> tuple[int, int]:
    """``(multiplier, shift)`` from one scale to another, of QUANTIZE and SUM (float64)."""
    return divide_factor(*pooling_factors(input_scale, output_scale), 1)


def mean_factors(
    input_scale: float, output_scale: float, count: int, dtype: str = "int8"
) -> tuple[int, int]:
    """``(multiplier, shift)`` of a mean of `count` elements, the division included."""
    return divide_factor(*pooling_factors(input_scale, output_scale), count, dtype)


def sum_factors(input_scale: float, output_scale: float, dtype: str) -> tuple[int, int]:
    """``(multiplier, shift)`` of a sum."""
    return divide_factor(*pooling_factors(input_scale, output_scale), 1, dtype)


def pooling_factors(input_scale: float, output_scale: float) -> tuple[int, int]:
    """``(multiplier, shift)`` from one scale to another, to be divided by `divide_factor`.

    It does not saturate: the average of a large window can be small.
    """
    return quantize_multiplier(_not_too_large(_f64(input_scale) / _f64(output_scale)))


def divide_factor(multiplier: int, shift: int, count: int, dtype: str = "int8") -> tuple[int, int]:
    """A factor divided by `count`, as LiteRT's ``QuantizedMeanOrSum`` does it.

    It saturates if its results are int8.

    The multiplier is first shifted left by as many bits as `count` has, less one, so that the
    integer division keeps its precision.
    """
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    factor = (multiplier << bits) // count, shift - bits
    return _saturating(*factor) if dtype == "int8" else factor


def softmax_int16_factors(input_scale: float, beta: float = 1.0) -> dict[str, int]:
    """Attributes ``multiplier`` and ``shift`` of an int16 softmax.

    They bring differences to 65535ths of 10, from where on exp() gives nothing.
    """
    factor = _f64(input_scale) * _f64(beta) / (10.0 / 65535.0)
    if factor >= 2.0**15:
        raise ValueError(f"softmax: an input scale of {input_scale} is too large for int16")
    multiplier, shift = quantize_multiplier(factor)
    return {"multiplier": multiplier, "shift": shift}


def sigmoid_factors(input_scale: float, whole_shifts: Sequence[int]) -> dict[str, int]:
    """Attributes ``multiplier`` and ``shift`` of the int16 `sigmoid` of this input scale.

    The table is read at ``round(data * multiplier / 2**shift)``.  Scales near ``2**(s - 12)`` with
    s among `whole_shifts` count as that.
    """
    scale = _f64(input_scale)
    for left in whole_shifts:
        if is_near_power(scale, left - 12):
            return {"multiplier": 3 << left, "shift": 0}
    multiplier, shift = scale * 4096.0 * 3.0, 0
    if multiplier >= 32768.0:
        raise ValueError(f"an input scale of {input_scale} is too large for its int16 table")
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        shift, multiplier = shift + 1, multiplier * 2.0
    return {"multiplier": int(multiplier), "shift": shift}


def is_near_power(scale: float, exponent: int) -> bool:
    """Whether a scale is ``2**exponent`` to LiteRT, which compares logarithms in float32."""
    return abs(math.log2(np.float32(scale)) - exponent) < 1e-3


def softmax_factors(input_scale: float, beta: float = 1.0) -> dict[str, int]:
    """Attributes ``multiplier``, ``shift`` and ``diff_min`` of an int8 softmax.

    Its output has scale 1 / 256 and zero point -128.
    """
    fraction_bits = 31 - _SOFTMAX_INTEGER_BITS
    # From half of LiteRT's limit on, a difference of one step is beyond what exp() gives int8.
    factor = min(_f64(beta) * _f64(input_scale) * (1 << fraction_bits), (1 << 30) - 1.0)
    if factor <= 1.0:
        raise ValueError(
            f"softmax: an input scale of {input_scale} with beta {beta} is too small for int8"
        )
    multiplier, shift = quantize_multiplier(factor)
    radius = ((1 << _SOFTMAX_INTEGER_BITS) - 1) * (1 << fraction_bits) / (1 << shift)
    return {"multiplier": multiplier, "shift": shift, "diff_min": -math.floor(radius)}


def _sum_attributes(a: float, b: float, output: float, dtype: str) -> dict[str, Any]:
    left_shift = _ADD_LEFT_SHIFT[dtype]
    if output >= 1.0:
        raise ValueError(
            f"add, subtract: the output scale is too small for {dtype} arithmetic (less than a "
            f"{1 << (left_shift - 1)}th of the larger operand's)"
        )
    multipliers, shifts = zip(*(quantize_multiplier(factor) for factor in (a, b, output)))
    return {"left_shift": left_shift, "multipliers": multipliers, "shifts": shifts}


def _scale_per_channel(scales: float | Sequence[float], channels: int) -> list[float]:
    values = [float(s) for s in np.atleast_1d(np.asarray(scales, np.float64))]
    if len(values) not in (1, channels):
        raise ValueError(f"{len(values)} weight scales do not fit {channels} output channels")
    return values * channels if len(values) == 1 else values


def _factor_arrays(factors: Any, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    # In int16, sums that are known say whether products leave 32 bits.
    pairs = [requantization_of(1, factor, dtype) for factor in factors]
    return (
        np.array([multiplier for multiplier, _ in pairs], np.int32),
        np.array([shift for _, shift in pairs], np.int32),
    )


def _f64(scale: float) -> float:
    """The float64 value of a number that a model file holds as float32."""
    return float(np.float32(scale))


def _round_half_away(value: np.float32) -> float:
    return math.copysign(math.floor(abs(float(value)) + 0.5), value)
