"""Of many ways those that no other beats in bytes and in multiply-accumulates."""

from __future__ import annotations

import numpy as np


def pareto(size: np.ndarray, work: np.ndarray, most: int) -> np.ndarray:
    """Indices of the ways that no other is as good as in both; the least work first.

    No more than `most`: of more, those at even steps of the logarithm of `size`, with both ends.
    """
    order = np.lexsort((size, work))
    least = np.minimum.accumulate(size[order])
    better = np.concatenate(([True], least[1:] < least[:-1]))[: len(order)]
    kept = order[better]
    if len(kept) > most:
        scale = np.log(np.maximum(size[kept], 1))  # falling
        wanted = np.linspace(scale[0], scale[-1], most)
        kept = kept[np.unique(np.searchsorted(-scale, -wanted))]
    return kept
