"""Biases and requantization factors as the C code of `requantize.h` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relax_passes.operators import Signature, fixed_point

from ..window import clamp

_DOUBLED = 1 << 30  # sums below it can be doubled in an int32
_INT32 = 1 << 31
ROUNDINGS = ("twice", "once", "any twice", "any once")  # enum rounding


@dataclass(frozen=True, eq=False)
class Factors:
    """`records`: int32 of shape [filters, 4], a ``struct requantization`` each."""

    records: np.ndarray
    rounding: int  # enum rounding


@dataclass(frozen=True, eq=False)
class SumRange:
    """The least and the greatest sum of each filter, without its bias."""

    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def of(weight: np.ndarray, zero_point: int) -> SumRange:
        """Of weights [filters, taps] that meet int8 data; padding counts as zeros in between."""
        ends = np.stack([weight.astype(np.int64) * (end - zero_point) for end in (-128, 127)])
        return SumRange(ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1))


def pack_factors(
    constants: Mapping[str, np.ndarray], signature: Signature, sums: SumRange
) -> Factors:
    """Records of an operator with ``bias``, ``multiplier`` and ``shift``.

    What the fast ways of rounding need is checked on the greatest sums that these weights can
    give.  Filters are padded to a multiple of four with records of zeros.
    """
    bias, multiplier, shift = (
        constants[name].astype(np.int64) for name in ("bias", "multiplier", "shift")
    )
    zero_point = int(signature["output_zero_point"])
    rounding = "twice" if signature["rounding"] == "double" else "once"
    records = [
        _narrow(signature, *map(int, values))
        for values in zip(bias, multiplier, shift, sums.low, sums.high)
    ]
    if any(record is None for record in records):
        rounding = f"any {rounding}"
        zero_points = np.full_like(bias, zero_point)
        packed = np.stack([bias, multiplier, zero_points, shift], axis=1)
    else:
        packed = np.array(records)
    padded = np.pad(packed.astype(np.int32), ((0, -len(packed) % 4), (0, 0)))
    return Factors(padded, ROUNDINGS.index(rounding))


def _narrow(
    signature: Signature, bias: int, multiplier: int, shift: int, low: int, high: int
) -> tuple[int, int, int, int] | None:
    """The record of one filter for rounding by 32-bit arithmetic; None if there is none."""
    zero_point = int(signature["output_zero_point"])
    minimum, maximum = clamp(signature)
    ends = np.array([low + bias, high + bias])
    scaled = fixed_point.multiply_numpy(ends, multiplier, shift, signature["rounding"])
    first, last = (int(value) for value in np.clip(scaled + zero_point, minimum, maximum))
    if first == last:  # a filter that the training left dead, whatever its factor
        return 0, 0, 2 * first + 1, 1
    right = -shift
    if right < 0 or max(abs(end) for end in ends) >= _DOUBLED:
        return None
    if right == 0:
        # Below zero the result is one too small, which the limits hide if zero is the lowest one.
        exact = signature["rounding"] == "double" and zero_point <= minimum
        return (bias, multiplier, zero_point, 0) if exact else None
    added = (1 << (right - 1)) + (zero_point << right)
    greatest = max(abs(int(end)) for end in ends) * multiplier // _INT32 + 2
    if right > 31 or abs(added) + greatest >= _INT32:
        return None
    return bias, multiplier, added, right
