"""Biases and requantization factors as the C code of `requantize.c` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relax_passes.operators import Signature

_ROOM = 1 << 30  # sums below it can be doubled


@dataclass(frozen=True, eq=False)
class Factors:
    """`records`: int32 of shape [filters, 4], a ``struct requantization`` each."""

    records: np.ndarray
    rounding: str  # name of the C enumerator


def pack_factors(
    constants: Mapping[str, np.ndarray], signature: Signature, largest: np.ndarray, multiple: int
) -> Factors:
    """Records of an operator with ``bias``, ``multiplier`` and ``shift``.

    `largest` holds for each filter the greatest absolute value of its sum without bias.  Filters
    are padded to a multiple of `multiple` with records of zeros.
    """
    bias, multiplier, shift = (
        constants[name].astype(np.int64) for name in ("bias", "multiplier", "shift")
    )
    zero_point = int(signature["output_zero_point"])
    twice = signature["rounding"] == "double"
    narrow = bool(np.all(largest + np.abs(bias) < _ROOM) and np.all(shift < 0))
    if narrow:
        right = -shift
        half, zero = np.int64(1) << (right - 1), zero_point << right
        # A zero point times a large power of two may not fit; such a factor is next to zero.
        narrow = bool(np.all(np.abs(zero) + half < _ROOM))
    columns = (
        (bias, multiplier, half + zero, right)
        if narrow
        else (bias, multiplier, np.full_like(bias, zero_point), shift)
    )
    records = np.stack(columns, axis=1).astype(np.int32)
    padding = -len(records) % multiple
    name = f"DSP_ROUND_{'' if narrow else 'ANY_'}{'TWICE' if twice else 'ONCE'}"
    return Factors(np.pad(records, ((0, padding), (0, 0))), name)
