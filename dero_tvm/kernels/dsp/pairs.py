"""Weights as words of four bytes: two filters by two channels (see `c/dsp_conv2d.h`)."""

from __future__ import annotations

import numpy as np

_GREATEST_INPUT = 255  # |data - zero point| of int8
_ROOM = 1 << 23  # sums below it, times 256, fit an int32


def pack_pairs(weight: np.ndarray) -> np.ndarray | None:
    """Words of weights [filters, taps], both multiples of four, as int32 [filters / 4, taps].

    None if some word would not fit a half, or some sum would not fit 24 bits.
    """
    filters, taps = weight.shape
    if np.any(greatest_sums(weight)[1::2] >= _ROOM):
        return None
    low, high = weight[0::2].astype(np.int32), weight[1::2].astype(np.int32)
    halves = 256 * high + low
    if halves.size and halves.min() < -(1 << 15):
        return None
    halves = halves.reshape(filters // 4, 2, taps // 4, 2, 2)  # pair, group, (0|2, 1|3)
    first, second = halves[..., 0, :], halves[..., 1, :]
    words = (first & 0xFFFF) | (second << 16)
    return np.ascontiguousarray(words.transpose(0, 2, 1, 3).reshape(filters // 4, taps)).astype(
        np.int32
    )


def greatest_sums(weight: np.ndarray) -> np.ndarray:
    """The greatest absolute value of each filter's sum without bias, of [filters, taps]."""
    return np.abs(weight.astype(np.int64)).sum(axis=1) * _GREATEST_INPUT
