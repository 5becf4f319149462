"""Which positions of an operand the positions of a result need, along one axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Reach:
    """For each position of a result the half-open range of the operand's that it needs.

    `first` and `end` never fall: a later position never needs what lies before all that an earlier
    one needs.  Ranges are within the operand; what lies in the padding is not there.
    """

    length: int  # of the operand
    first: np.ndarray
    end: np.ndarray

    @staticmethod
    def of(length: int, ranges: Iterable[tuple[int, int]]) -> Reach:
        """The reach with these ranges, or with the least larger ones that never fall."""
        begin, end = np.array(list(ranges), np.int64).reshape(-1, 2).T
        first = np.minimum.accumulate(np.where(end > begin, begin, length)[::-1])[::-1]
        last = np.maximum.accumulate(np.where(end > begin, end, 0))
        return Reach(length, first, last)

    @staticmethod
    def same(length: int) -> Reach:
        """Each position needs the one in its place."""
        places = np.arange(length)
        return Reach(length, places, places + 1)

    @staticmethod
    def whole(length: int, positions: int) -> Reach:
        """Each of the result's `positions` needs everything."""
        return Reach(length, np.zeros(positions, np.int64), np.full(positions, length))

    @staticmethod
    def sliding(
        length: int,
        positions: int,
        kernel: int,
        stride: int = 1,
        before: int = 0,
        dilation: int = 1,
    ) -> Reach:
        """That of a kernel that slides over an operand with `before` positions of padding."""
        ranges = []
        for position in range(positions):
            taps = (position * stride - before + k * dilation for k in range(kernel))
            inside = [tap for tap in taps if 0 <= tap < length]
            ranges.append((inside[0], inside[-1] + 1) if inside else (0, 0))
        return Reach.of(length, ranges)

    @property
    def positions(self) -> int:
        """Positions of the result."""
        return len(self.first)

    def needed(self, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the positions ``[begin[i], end[i])`` need, for each i; of none: none."""
        some = end > begin
        low = np.where(some, self.first[np.minimum(begin, self.positions - 1)], self.length)
        high = np.where(some, self.end[np.maximum(end, 1) - 1], 0)
        return low, np.maximum(high, 0)
