"""Channels that kernels take four at a time."""

from __future__ import annotations

import numpy as np


def groups_of_four(channels: int) -> np.ndarray:
    """Channels in groups of four; the last group may overlap the one before."""
    starts = [min(start, channels - 4) for start in range(0, channels, 4)]
    return np.concatenate([np.arange(start, start + 4) for start in starts])
