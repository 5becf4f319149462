"""Whether rows that are not placed yet still find room beside those that are.

During a later call, what lies in memory already and is still alive divides the room into gaps, and
what is not placed yet has to lie in these.  A gap of g units holds no more than the most units up
to g that some of those sizes add up to.  Where that is too little in all gaps together, or where
the gaps have fewer places for large blocks than there are large blocks, nothing can be done.

Layouts that leave the same gaps during all these calls are alike, wherever the gaps lie: most often
both go on in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fingerprints import mixed, total

_CALLS = 6  # that are looked at
_KEPT = 64  # tables
_WASTE = 300  # what it costs if all that no row needs is lost in gaps too small
_GAP = 100  # what a gap costs


@dataclass(frozen=True)
class Layouts:
    """Blocks with their addresses, in ascending order: a row for each layout.

    `ends` are the calls before which blocks end.
    """

    low: np.ndarray
    high: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """Which layouts leave room, and what each costs; those with one `likeness` are alike."""

    fits: np.ndarray
    cost: np.ndarray
    likeness: np.ndarray


class LookAhead:
    """What is alive at the calls at which least room is left, and what of it is not placed yet.

    `starts`, `ends` and `sizes` are those of the blocks, `floor` and `ceiling` of the room.
    """

    def __init__(
        self,
        starts: np.ndarray,
        ends: np.ndarray,
        sizes: np.ndarray,
        floor: np.ndarray,
        ceiling: np.ndarray,
    ) -> None:
        change = np.zeros(len(floor) + 1, np.int64)
        np.add.at(change, starts, sizes)
        np.subtract.at(change, ends, sizes)
        self.slack = ceiling - floor - np.cumsum(change)[:-1]
        less = np.r_[True, self.slack[1:] < self.slack[:-1]]
        self.calls = np.flatnonzero(less & np.r_[self.slack[:-1] <= self.slack[1:], True])
        self.waiting: list[Counter[int]] = [Counter() for _ in self.calls]
        spans = zip(*np.searchsorted(self.calls, [starts, ends]), sizes.tolist(), strict=True)
        for first, end, size in spans:
            for number in range(first, end):
                self.waiting[number][size] += 1
        self.floor, self.ceiling = floor, ceiling
        self.top = int(ceiling.max(initial=0))
        self._mixed = mixed(np.arange(self.top + 1))
        self._tables: dict[tuple[tuple[int, int], ...], np.ndarray] = {}

    def place(self, start: int, end: int, size: int) -> None:
        """Count a block as placed."""
        for number in range(*np.searchsorted(self.calls, [start, end])):
            self.waiting[number][size] -= 1

    def judge(self, layouts: Layouts, call: int) -> Judgement:
        """The layouts as seen from `call`."""
        count = len(layouts.low)
        fits, cost = np.ones(count, bool), np.zeros(count, np.int64)
        likeness = np.zeros(count, np.uint64)
        first = int(np.searchsorted(self.calls, call))
        for number in range(first, min(first + _CALLS, len(self.calls))):
            sizes = tuple(sorted((s, n) for s, n in self.waiting[number].items() if n))
            gaps = self._gaps(layouts, int(self.calls[number]))
            filled = self._table(sizes)[gaps].sum(1)
            fits &= filled >= sum(size * n for size, n in sizes)
            large = 0
            for size, n in reversed(sizes[1:]):
                large += n
                fits &= (gaps // size).sum(1) >= large
            slack = int(self.slack[self.calls[number]]) + 1
            cost += _WASTE * (gaps.sum(1) - filled) // slack + _GAP * (gaps > 0).sum(1)
            likeness += mixed(total(self._mixed[gaps]) + np.uint64(number))
        return Judgement(fits, cost, likeness)

    def _gaps(self, layouts: Layouts, call: int) -> np.ndarray:
        """Units between the blocks of each layout that are still alive during a call."""
        alive = layouts.ends > call  # the same blocks in every layout
        count = len(alive), np.count_nonzero(alive[0])
        low, high = layouts.low[alive].reshape(count), layouts.high[alive].reshape(count)
        gaps = np.empty((count[0], count[1] + 1), np.int64)
        gaps[:, :-1], gaps[:, -1] = low, self.ceiling[call]
        gaps[:, 0] -= self.floor[call]
        gaps[:, 1:] -= high
        return gaps

    def _table(self, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
        """For each number of units the most up to it that blocks of these sizes add up to."""
        key = tuple(sizes)
        if key not in self._tables:
            if len(self._tables) >= _KEPT:
                self._tables.clear()
            self._tables[key] = _most_filled(key, self.top)
        return self._tables[key]


def _most_filled(sizes: Sequence[tuple[int, int]], top: int) -> np.ndarray:
    sums, all_units = 1, (1 << top + 1) - 1  # bit n: n units can be filled
    for size, count in sizes:
        several = 1
        while count:
            several = min(several, count)
            sums |= sums << several * size & all_units
            count -= several
            several *= 2
    packed = np.frombuffer(sums.to_bytes(top // 8 + 1, "little"), np.uint8)
    filled = np.unpackbits(packed, bitorder="little")[: top + 1].astype(bool)
    return np.maximum.accumulate(np.where(filled, np.arange(top + 1), 0))
