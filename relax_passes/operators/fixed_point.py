"""Fixed-point arithmetic of integer operators, as scalar TIR expressions and as Python numbers.

A real factor ``f`` is carried as ``multiplier * 2 ** (shift - 31)`` with ``multiplier`` in
``[2**30, 2**31)``.  Five ways of rounding the product with an accumulator are offered:

``double``
    rounds the doubled high half of the 64-bit product to the nearest (ties away from zero), then
    rounds again while shifting right.  It is what LiteRT's reference kernels compute
    (``MultiplyByQuantizedMultiplier`` in ``tensorflow/lite/kernels/internal/common.h``).
``single``
    one rounding of the whole product (ties upwards).  It lies closest to the float arithmetic of
    ONNX Runtime where no product is a tie, as with nearly all scales.
``even``
    one rounding of the whole product, ties to even, as ONNX's QuantizeLinear rounds: for factors
    with which products can be ties, such as powers of two.
``away``
    one rounding of the whole product, ties away from zero: LiteRT's fully connected layers of
    uint8, which multiply by the factor in float64.
``reduced``
    one rounding of the whole product (ties upwards) with an int64 accumulator below ``2**47``; of
    the multiplier the upper 16 bits count, which `reduced_multiplier` has rounded.  LiteRT's layers
    with int64 biases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder

from .signature import Signature

ROUNDINGS = ("double", "single", "even", "away", "reduced")
ROUNDED_ONCE = ("single", "even")  # as ONNX Runtime
INT8_MIN, INT8_MAX = -128, 127
INT8 = np.arange(INT8_MIN, INT8_MAX + 1)
"""All int8 numbers, in the order of a table's entries."""
ACTIVATIONS = ("int8", "int16")
"""Types of quantized activations that operators of the set compute on."""
MOST_REDUCED = 1 << 47
"""Accumulators that `reduced` rounding takes are smaller."""
_LEAST_REDUCED, _REDUCED_BITS = 0x7FFF0000, 16


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """``(multiplier, shift)`` of a real factor >= 0, by LiteRT's ``QuantizeMultiplier``.

    Factors below ``2**-31`` become 0; factors of ``2**30`` and more raise ``ValueError``.
    """
    if factor == 0.0:
        return 0, 0
    if not (factor > 0.0 and math.isfinite(factor)):
        raise ValueError(f"a requantization factor must be positive and finite, got {factor}")
    mantissa, shift = math.frexp(factor)
    multiplier = int(math.floor(mantissa * (1 << 31) + 0.5))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        raise ValueError(f"a requantization factor of {factor} does not fit 32-bit arithmetic")
    return multiplier, shift


def reduced_multiplier(multiplier: int) -> int:
    """A multiplier rounded to its upper 16 bits, by LiteRT's rule."""
    reduced = (multiplier + (1 << (_REDUCED_BITS - 1))) >> _REDUCED_BITS
    return min(reduced, _LEAST_REDUCED >> _REDUCED_BITS) << _REDUCED_BITS


RESCALING: dict[str, Any] = {
    "minimum": None,
    "maximum": None,
    "input_zero_point": 0,
    "output_zero_point": 0,
    "multiplier": None,
    "shift": None,
    "rounding": "double",
}
"""Attributes of operators whose integer results have a scale of their own."""


def multiply(value, multiplier, shift, rounding: str):
    """TIR int32 expression: `value` times the factor (`multiplier`, `shift`), rounded.

    The sums below round as the usual formulas with case distinctions do, but use each operand
    once or twice only: TVM's simplifier takes exponential time on chains of conditionals.
    """
    if rounding == "reduced":
        product = T.cast(value, "int64") * T.cast(multiplier >> _REDUCED_BITS, "int64")
        return T.cast(_shift_half_up(product, tirx.const(15, "int32") - shift), "int32")
    product = T.cast(value, "int64") * T.cast(multiplier, "int64")
    if rounding == "single":
        return T.cast(_shift_half_up(product, tirx.const(31, "int32") - shift), "int32")
    if rounding == "even":
        right = tirx.const(31, "int32") - shift
        return let("product", product, "int64", lambda wide: shift_half_even(wide, right))
    if rounding == "away":
        right = tirx.const(31, "int32") - shift
        return let(
            "product", product, "int64", lambda wide: T.cast(_round_shift64(wide, right), "int32")
        )
    shift = tirx.const(shift, "int32") if isinstance(shift, int) else shift
    left = T.max(shift, 0)
    high = _shift_half_up(product, tirx.const(31, "int32") - left)
    return let(
        "high",
        high,
        "int64",
        lambda high: let(
            "right",
            T.max(0 - shift, 0),
            "int32",
            lambda right: T.cast(_round_shift64(high, right), "int32"),
        ),
    )


def doubling_high_multiply(a, b):
    """TIR int32 expression: ``round(a * b / 2**31)`` of int32 expressions.

    It multiplies two numbers with 31 fractional bits; -1 times -1 is not allowed.
    """
    return T.cast(_shift_half_up(T.cast(a, "int64") * T.cast(b, "int64"), 31), "int32")


def round_shift(value, shift):
    """TIR int32 expression: ``round(value / 2**shift)``, ties away from zero."""
    wide = T.cast(value, "int64")
    return let("wide", wide, "int64", lambda wide: T.cast(_round_shift64(wide, shift), "int32"))


def shift_half_even(value, shift):
    """TIR int32 expression: ``value / 2**shift`` of an int64 `value`, ties to even; shift >= 1."""
    one = tirx.const(1, "int64")
    shift = tirx.const(shift, "int64") if isinstance(shift, int) else T.cast(shift, "int64")
    nudged = value + (one << (shift - one))

    def to_even(up):
        tie = (nudged & ((one << shift) - one)) == tirx.const(0, "int64")
        return up - T.cast(tie, "int32") * (up & 1)

    return let("up", T.cast(nudged >> shift, "int32"), "int32", to_even)


def _shift_half_up(value, shift):
    """``floor(value / 2**shift + 1/2)`` of an int64 expression, for shift >= 1.

    LiteRT's rounding of the doubled high half, which adds a nudge of the product's sign and
    divides towards zero, gives the same number for every product.
    """
    shift = T.cast(shift, "int64")
    half = tirx.const(1, "int64") << (shift - tirx.const(1, "int64"))
    return (value + half) >> shift


def _round_shift64(value, shift):
    """``round(value / 2**shift)``, ties away from zero, of an int64 expression, shift >= 0.

    A tie below zero must not be rounded up: one is taken off, unless shift is 0 and there are no
    ties.
    """
    shift = T.cast(shift, "int64")
    half = (tirx.const(1, "int64") << shift) >> tirx.const(1, "int64")
    sign = value >> tirx.const(63, "int64")
    return (value + half + T.max(sign, tirx.const(0, "int64") - half)) >> shift


def multiply_numpy(
    values: np.ndarray, multiplier: int | np.ndarray, shift: int | np.ndarray, rounding: str
) -> np.ndarray:
    """The same arithmetic on integer arrays; used to fill tables at compile time."""
    values = np.asarray(values, dtype=np.int64)
    if rounding == "reduced":
        product = values * (np.asarray(multiplier, np.int64) >> _REDUCED_BITS)
        return (product + (1 << (14 - np.asarray(shift, np.int64)))) >> (15 - shift)
    if rounding in ROUNDED_ONCE:
        drop = 31 - np.asarray(shift, np.int64)
        nudged = values * multiplier + (1 << (drop - 1))
        tie = (nudged & ((1 << drop) - 1)) == 0
        return (nudged >> drop) - (tie & (nudged >> drop) if rounding == "even" else 0)
    if rounding == "away":
        product = values * multiplier
        return np.sign(product) * ((np.abs(product) + (1 << (30 - shift))) >> (31 - shift))
    shift = np.asarray(shift, dtype=np.int64)
    product = (values << np.maximum(shift, 0)) * multiplier
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    high = np.sign(total) * (np.abs(total) >> 31)
    right = np.maximum(-shift, 0)
    mask = (1 << right) - 1
    threshold = (mask >> 1) + (high < 0)
    return (high >> right) + ((high & mask) > threshold)


def onnx_rounding(
    rounding: str, multiplier: int | np.ndarray, shift: int | np.ndarray, most: int | np.ndarray
) -> str:
    """``even`` in place of ``single`` if a product with integers up to `most` can be a tie.

    It is one if the integer has exactly so many factors of two that with the multiplier's they
    are one too few.
    """
    multiplier, shift = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    lacking = 30 - shift - np.log2(np.maximum(multiplier & -multiplier, 1)).astype(np.int64)
    reached = np.exp2(np.minimum(lacking, 62).astype(np.float64)) <= most
    ties = (multiplier != 0) & (lacking >= 0) & reached
    return "even" if rounding == "single" and np.any(ties) else rounding


def clamp(value, low, high, dtype: str = "int32"):
    """TIR expression: `value` limited to ``[low, high]``; a bound of None is absent."""
    if low is not None:
        value = T.max(value, tirx.const(low, dtype))
    if high is not None:
        value = T.min(value, tirx.const(high, dtype))
    return value


def partial_type(dtype: str, terms: int) -> str:
    """The smallest type that holds the sum of so many elements; of one term, its own."""
    if dtype == "float32" or terms == 1:
        return dtype
    limits = [terms * limit for limit in type_limits(dtype)]
    low, high = type_limits("int16")
    return "int16" if low <= min(limits) and max(limits) <= high else "int32"


def type_limits(dtype: str) -> tuple[int, int]:
    """The least and the greatest number of an integer type."""
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def integer_limits(of: Mapping[str, Any] | Signature, dtype: str) -> tuple[int, int]:
    """The interval that a result is limited to: ``minimum`` and ``maximum``, within its type.

    A bound of None is absent.
    """
    low, high = of["minimum"], of["maximum"]
    least, greatest = type_limits(dtype)
    return (
        least if low is None else max(int(low), least),
        greatest if high is None else min(int(high), greatest),
    )


def int8_limits(of: Mapping[str, Any] | Signature) -> tuple[int, int]:
    """The interval that an int8 result is limited to."""
    return integer_limits(of, "int8")


def saturate(value, low, high, dtype: str = "int8"):
    """TIR expression of type `dtype`: an int32 `value` limited to it and ``[low, high]``."""
    return T.cast(clamp(value, *integer_limits({"minimum": low, "maximum": high}, dtype)), dtype)


def check_rounding(operator: str, rounding: str) -> None:
    """Raises ``ValueError`` if `rounding` is not one of `ROUNDINGS`."""
    if rounding not in ROUNDINGS:
        raise ValueError(f"{operator}: rounding must be one of {ROUNDINGS}, got {rounding!r}")


def widened(product, dtype: str):
    """TIR expression: an int32 `product` as a term of sums of type `dtype`."""
    return product if dtype == "int32" else T.cast(product, dtype)


def let(name: str, value, dtype: str, body: Callable):
    """TIR expression: `body(v)` with `v` naming `value`, so that it is computed once.

    Inside a kernel under construction `v` is a statement of its own: C has no let-expression, and
    the C generator would repeat `value` wherever `v` is used.
    """
    if isinstance(value, tirx.IntImm):
        return body(value)
    var = tirx.Var(name, dtype)
    if IRBuilder.is_in_scope():
        builder.add_to_parent(tirx.Bind(var, value))
        return body(var)
    return tirx.Let(var, value, body(var))


def hold(name: str, value, dtype: str = "int32"):
    """TIR expression for `value`, kept in a local variable of the kernel under construction.

    Unlike a name given by `let`, TVM's simplifier does not look through it.  Where requantized
    values are requantized again, that keeps the time it takes from growing with the product of
    their uses.
    """
    local = builder.alloc_buffer((1,), dtype)
    IRBuilder.name(name, local)
    builder.buffer_store(local, value, [0])
    return local[0]
