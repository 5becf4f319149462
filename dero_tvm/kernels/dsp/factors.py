"""Biases and requantization factors as the C code of `requantize.h` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relax_passes.operators import Signature, fixed_point
from relax_passes.operators.fixed_point import integer_limits
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT

_DOUBLED = 1 << 30  # sums below it can be doubled in an int32
_INT32 = 1 << 31
# Multipliers for `reduced` have no more bits than it takes, so that in int32 sums it is `single`.
_ROUNDED = {"double": "twice", "single": "once", "reduced": "once", "even": "even"}
_PLAIN = ("twice", "once")
ROUNDINGS = ("twice", "once", "any twice", "any once", "any even")  # enum rounding


@dataclass(frozen=True, eq=False)
class Factors:
    """`records`: int32 of shape [filters, 4], a ``struct requantization`` each.

    `plainly` is how results are rounded that take all of int8: ``once`` or ``twice``; None of those
    that need another look.
    """

    records: np.ndarray
    rounding: int  # enum rounding
    plainly: str | None = None

    @property
    def halved(self) -> np.ndarray | None:
        """Records for sums that are not doubled before they are rounded once; None if some cannot.

        floor(2x) + round is shifted to the right by two bits and more as floor(x) + round / 2 is by
        a bit less.
        """
        _, multiplier, added, right = self.records.T
        if self.plainly != "once" or np.any((right < 2) & (multiplier != 0)):
            return None
        return np.concatenate([self.records[:, :2], np.stack([added >> 1, right - 1], 1)], axis=1)

    @property
    def support(self) -> tuple[Path, ...]:
        """What a kernel with these records lists before its own files."""
        return rounding_support(self.rounding)


def rounding_support(rounding: int) -> tuple[Path, ...]:
    """The file by which `requantize.h` has this way of rounding, and else has not."""
    return (SUPPORT / f"rounds_{ROUNDINGS[rounding].split()[0]}.h",)


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
    rounding = _ROUNDED[signature["rounding"]]
    packed, narrow = _narrow(signature, bias, multiplier, shift, sums)
    if rounding == "even" or not narrow.all():
        rounding = f"any {rounding}"
        packed = np.stack([bias, multiplier, np.full_like(bias, zero_point), shift], axis=1)
    padded = np.pad(packed.astype(np.int32), ((0, -len(packed) % 4), (0, 0)))
    limits = integer_limits(signature, signature.output.dtype)
    plainly = rounding if rounding in _PLAIN and limits == (-128, 127) else None
    return Factors(padded, ROUNDINGS.index(rounding), plainly)


def _narrow(
    signature: Signature,
    bias: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    sums: SumRange,
) -> tuple[np.ndarray, np.ndarray]:
    """The filters' records for rounding by 32-bit arithmetic, and which filters it can do."""
    zero_point = int(signature["output_zero_point"])
    minimum, maximum = integer_limits(signature, signature.output.dtype)
    totals = sums.with_bias(bias)
    ends = np.stack([totals.low, totals.high])
    scaled = fixed_point.multiply_numpy(ends, multiplier, shift, signature["rounding"])
    first, last = np.clip(scaled + zero_point, minimum, maximum)
    greatest = np.abs(ends).max(axis=0)
    right = -shift
    nothing = np.zeros_like(bias)

    # Shifting beyond these bounds is refused below.
    bits = np.clip(right, 1, 31)
    added = (1 << (bits - 1)) + (zero_point << bits)
    # 2**30 and 2**31: the product fits in 64 bits where the sums are not refused.
    product = np.minimum(greatest, _DOUBLED) * multiplier // _INT32 + 2
    shifted = (right >= 1) & (right <= 31) & (np.abs(added) + product < _INT32)
    # Below zero the result is one too small, which the limits hide if zero is the lowest one.
    exact = signature["rounding"] == "double" and zero_point <= minimum
    unshifted = (right == 0) & exact
    narrow = (greatest < _DOUBLED) & (shifted | unshifted)
    records = np.stack([bias, multiplier, np.where(right == 0, zero_point, added), right], axis=1)

    # A filter that the training left dead, whatever its factor.
    dead = first == last
    constant = np.stack([nothing, nothing, 2 * first + 1, nothing + 1], axis=1)
    return np.where(dead[:, None], constant, records), narrow | dead
