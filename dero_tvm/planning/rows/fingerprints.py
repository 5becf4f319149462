"""Numbers of 64 bits that tell arrays of integers apart, by sums that do not ask for an order.

Two different sets have one number by chance alone: one pair of 10**19.
"""

from __future__ import annotations

import numpy as np


def mixed(numbers: np.ndarray) -> np.ndarray:
    """One number for each, in which every bit hangs on all bits of the given one.

    Multiplications and shifts as in splitmix64 (Steele, Lea and Flood 2014).
    """
    found = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    found ^= found >> np.uint64(30)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    return found ^ found >> np.uint64(31)


def total(numbers: np.ndarray) -> np.ndarray:
    """The sums of rows, without what passes 64 bits."""
    return numbers.sum(1, dtype=np.uint64)
