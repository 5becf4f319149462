"""Which positions of an operand the positions of a result need, along one axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Reach:
    """For each position of a result the half-open range of the operand's that it needs.

    Ranges are within the operand; what lies in the padding is not there.  One that is empty begins
    at the operand's `length` and ends at 0.
    """

    length: int  # of the operand
    first: np.ndarray
    end: np.ndarray

    @staticmethod
    def of(length: int, ranges: Iterable[tuple[int, int]]) -> Reach:
        """The reach with these ranges."""
        begin, end = np.array(list(ranges), np.int64).reshape(-1, 2).T
        some = end > begin
        return Reach(length, np.where(some, begin, length), np.where(some, end, 0))

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

    @cached_property
    def oldest(self) -> np.ndarray:
        """The least that each position or a later one needs."""
        return np.minimum.accumulate(self.first[::-1])[::-1]

    @cached_property
    def asked(self) -> np.ndarray:
        """Up to where each position or an earlier one has the operand made."""
        return np.maximum.accumulate(self.end)

    def needed(
        self, begin: np.ndarray, end: np.ndarray, *, in_turn: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the positions ``[begin[i], end[i])`` need, for each i; of none: none.

        `in_turn`: all that earlier positions have had made is needed, too, from the first on.
        """
        some = end > begin
        pairs = np.stack([np.where(some, begin, 0), np.where(some, end, 1)], 1).ravel()
        low = np.minimum.reduceat(np.append(self.first, self.length), pairs)[::2]
        high = np.maximum.reduceat(np.append(self.end, 0), pairs)[::2]
        if in_turn:
            high = self.asked[np.maximum(end, 1) - 1]
        return np.where(some, low, self.length), np.where(some, high, 0)
