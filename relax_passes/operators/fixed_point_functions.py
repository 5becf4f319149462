"""Transcendental functions in 32-bit fixed point, on integer arrays, for tables.

A number Qm.n has m integer and n fractional bits besides the sign.  The methods and their
constants are those of gemmlowp (``fixedpoint/fixedpoint.h``), which LiteRT and TensorFlow Lite
Micro compute with; the kernel of an int8 softmax uses the same ones.
"""

from __future__ import annotations

import numpy as np

ONE = (1 << 31) - 1
"""The largest Q0.31, standing for 1."""
POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""exp(-2**k) in Q0.31, for k = -2 .. 4."""
EXP_MINUS_EIGHTH = 1895147668  # in Q0.31
THIRD = 715827883  # in Q0.31
LINE_OFFSET, LINE_SLOPE = 1515870810, -1010580540
"""48/17 and -32/17 in Q2.29: the line from which Newton's method for an inverse starts."""
_HALF_SQRT_2 = 1518500250  # sqrt(2) / 2 in Q0.31


def doubling_high(a, b, bits: int = 31) -> np.ndarray:
    """``round(a * b / 2**bits)``, the nearest integer, -0.5 becoming 0."""
    return (np.asarray(a, np.int64) * b + (1 << (bits - 1))) >> bits


def round_shift(values, bits: int) -> np.ndarray:
    """``round(values / 2**bits)``, ties away from zero."""
    values = np.asarray(values, np.int64)
    mask = (1 << bits) - 1
    return (values >> bits) + ((values & mask) > (mask >> 1) + (values < 0))


def logistic(a: np.ndarray) -> np.ndarray:
    """Logistic function 1 / (1 + exp(-a)) in Q0.31, of `a` in Q4.27."""
    positive = np.minimum(2 * _inverse_of_half_sum(exp_of_negative(-np.abs(a), 4)), ONE)
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))


def tanh(a: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent in Q0.31, of `a` in Q4.27."""
    # (1 - exp(-2 a)) / (1 + exp(-2 a)); the bits of `a` in Q4.27 are those of 2 a in Q5.26.
    inverse = _inverse_of_half_sum(exp_of_negative(-np.abs(a), 5))
    magnitude = np.minimum((inverse - (1 << 29)) * 4, ONE)
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


def exp_of_negative(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(a) in Q0.31 of `a` <= 0 with that many integer bits.

    A part in [-1/4, 0) goes through Taylor's series around -1/8; the rest is a sum of powers of
    two, each of which stands for a factor.
    """
    quarter = 1 << (29 - integer_bits)
    part = (a & (quarter - 1)) - quarter
    rest = part - a
    x = part * (1 << integer_bits) + (1 << 28)
    square = doubling_high(x, x)
    cube, fourth = doubling_high(square, x), doubling_high(square, square)
    tail = doubling_high(round_shift(fourth, 2) + cube, THIRD) + square
    result = doubling_high(x + round_shift(tail, 1), EXP_MINUS_EIGHTH) + EXP_MINUS_EIGHTH
    for k, power in enumerate(POWERS[: integer_bits + 2]):
        result = np.where(rest & (quarter << k), doubling_high(result, power), result)
    return np.where(a == 0, ONE, result)


def inverse_sqrt(value: int) -> tuple[int, int]:
    """Factor ``(multiplier, shift)`` of ``1 / sqrt(value)`` for an integer in [1, 2**29).

    Five Newton steps ``x <- 1.5 * x - value / 2 * x**3`` in Q3.28, from 1, after scaling the
    value into [2**27, 2**29).
    """
    if value == 1:
        return ONE, 0
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    right_shift = 11 - pairs
    half = round_shift((value << 2 * pairs) >> 1, 1)
    x, three_halves = np.int64(1 << 28), (1 << 28) + (1 << 27)
    for _ in range(5):
        cube = doubling_high(doubling_high(x, x), x) * 64
        x = (doubling_high(three_halves, x) - doubling_high(half, cube)) * 8
    result = int(doubling_high(x, _HALF_SQRT_2))
    return (result, -right_shift) if right_shift >= 0 else (result << -right_shift, 0)


def _inverse_of_half_sum(x: np.ndarray) -> np.ndarray:
    """2 / (1 + x) in Q2.29 of `x` in Q0.31, 0 <= x < 1, by three Newton steps."""
    half = (x >> 1) + (x & 1) + (1 << 30)
    inverse = doubling_high(half, LINE_SLOPE) + LINE_OFFSET
    for _ in range(3):
        error = (1 << 29) - doubling_high(half, inverse)
        inverse = inverse + doubling_high(inverse, error) * 4
    return inverse
