"""Weights as words of four bytes: two filters by two channels (see `c/dsp_conv2d.h`)."""

from __future__ import annotations

import numpy as np

from relax_passes.operators.sum_range import SumRange

_ROOM = 1 << 23  # sums below it, times 256, fit an int32


def pack_pairs(weight: np.ndarray, sums: SumRange) -> np.ndarray | None:
    """Words of weights [filters, taps], both multiples of four, as int32 [filters / 4, taps].

    None if some word would not fit a half, or some sum would not fit 24 bits.
    """
    filters, taps = weight.shape
    if np.any(sums.low[1::2] < -_ROOM) or np.any(sums.high[1::2] >= _ROOM):
        return None
    low, high = weight[0::2].astype(np.int32), weight[1::2].astype(np.int32)
    halves = 256 * high + low
    if halves.min(initial=0) < -(1 << 15):
        return None
    halves = halves.reshape(filters // 4, 2, taps // 4, 2, 2)  # pair, channels: (0|2, 1|3)
    words = (halves[..., 0, :] & 0xFFFF) | (halves[..., 1, :] << 16)
    return np.ascontiguousarray(words.transpose(0, 2, 1, 3)).reshape(filters // 4, taps)
