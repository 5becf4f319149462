"""Biases and requantization factors as the C code of `requantize.h` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relax_passes.operators import Signature

_ROOM = 1 << 30  # sums below it can be doubled
ROUNDINGS = ("twice", "once", "any twice", "any once")  # enum rounding


@dataclass(frozen=True, eq=False)
class Factors:
    """`records`: int32 of shape [filters, 4], a ``struct requantization`` each."""

    records: np.ndarray
    rounding: int  # enum rounding


def pack_factors(
    constants: Mapping[str, np.ndarray], signature: Signature, largest: np.ndarray
) -> Factors:
    """Records of an operator with ``bias``, ``multiplier`` and ``shift``.

    `largest` holds for each filter the greatest absolute value of its sum without bias.  Filters
    are padded to a multiple of four with records of zeros.
    """
    bias, multiplier, shift = (
        constants[name].astype(np.int64) for name in ("bias", "multiplier", "shift")
    )
    zero_point = np.full_like(bias, signature["output_zero_point"])
    rounding = "twice" if signature["rounding"] == "double" else "once"
    columns = [bias, multiplier, zero_point, shift]
    if np.all(largest + np.abs(bias) < _ROOM) and np.all(shift < 0):
        right = -shift
        added = (np.int64(1) << (right - 1)) + (zero_point << right)
        # A zero point times a large power of two leaves no room for the sum.
        if np.all(np.abs(added) < _ROOM):
            columns[2:] = added, right
    if columns[3] is shift:
        rounding = f"any {rounding}"
    records = np.stack(columns, axis=1).astype(np.int32)
    padded = np.pad(records, ((0, -len(records) % 4), (0, 0)))
    return Factors(padded, ROUNDINGS.index(rounding))
