"""Whether rows that are not placed yet still find room beside those that are.

During a later call, what lies in memory already and is still alive divides the room into gaps, and
what is not placed yet has to lie in these.  A gap of g units holds no more than the most units up
to g that some of those sizes add up to.  Where that is too little in all gaps together, or where
the gaps have fewer places for large blocks than there are large blocks, nothing can be done.

Layouts that leave the same gaps during all these calls are alike, wherever the gaps lie: most often
both go on in the same way.

All that is asked of gaps are sums over them, and a block that is put into a layout parts one gap in
two.  So layouts with one more block are judged from those without it, and what a later call at
which the block is dead says of them stays what it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from .fingerprints import mixed

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

    def edges(self, floor: int, ceiling: int) -> tuple[np.ndarray, np.ndarray]:
        """Where each gap begins and ends, by layout."""
        edge = np.zeros((len(self.low), 1), np.int64)
        below = np.concatenate([edge + floor, self.high], 1)
        return below, np.concatenate([self.low, edge + ceiling], 1)


@dataclass(frozen=True)
class Places:
    """Where one more block, which ends before call `end`, may lie in some layouts.

    Place i is in layout ``layouts[i]`` below its block ``gaps[i]``, from ``low[i]`` to ``high[i]``.
    """

    layouts: np.ndarray
    gaps: np.ndarray
    low: np.ndarray
    high: np.ndarray
    end: int

    def __len__(self) -> int:
        return len(self.layouts)

    def __getitem__(self, chosen: np.ndarray) -> Places:
        return Places(
            self.layouts[chosen], self.gaps[chosen], self.low[chosen], self.high[chosen], self.end
        )


@dataclass(frozen=True)
class Judgement:
    """Which layouts leave room, and what each costs; those with one `likeness` are alike."""

    fits: np.ndarray
    cost: np.ndarray
    likeness: np.ndarray


class LookAhead:
    """What is alive at the calls at which least room is left, and what of it is not placed yet.

    `starts`, `ends` and `sizes` are those of the blocks, `floor` and `ceiling` of the room.
    `judged` counts how often the gaps of layouts during a call were looked at.
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
        self.judged = 0
        self._mixed = mixed(np.arange(self.top + 1)).view(np.int64)  # added up without carry
        self._tables: dict[tuple[tuple[int, int], ...], tuple[int, np.ndarray]] = {}
        # What calls say of the layouts without the block that is put now, and of all its places.
        self._known: dict[int, np.ndarray] = {}
        self._of_places: dict[int, np.ndarray] = {}

    def place(self, start: int, end: int, size: int) -> None:
        """Count a block as placed."""
        for number in range(*np.searchsorted(self.calls, [start, end])):
            self.waiting[number][size] -= 1

    def judge(self, layouts: Layouts, places: Places, call: int) -> Judgement:
        """The layouts with one more block, which is counted as placed, as seen from `call`.

        They are those of which `keep` was told last, without what has ended before `call`.
        """
        first = int(np.searchsorted(self.calls, call))
        numbers = range(first, min(first + _CALLS, len(self.calls)))
        touched = [number for number in numbers if self.calls[number] < places.end]
        self._of_places = {number: self._judged(number, layouts, places) for number in touched}
        others = numbers[len(touched) :]
        self._known = {
            number: self._known[number] if number in self._known else self._judged(number, layouts)
            for number in others
        }
        said = np.zeros((3, len(layouts.low)), np.int64)
        for known in self._known.values():
            said += known
        said = said[:, places.layouts]
        for of_places in self._of_places.values():
            said += of_places
        misfits, cost, likeness = said
        return Judgement(misfits == 0, cost, likeness)

    def keep(self, layouts: np.ndarray, places: np.ndarray) -> None:
        """Go on with some `places` of those judged last, which are in `layouts`."""
        self._known = {number: known[:, layouts] for number, known in self._known.items()}
        self._known |= {number: known[:, places] for number, known in self._of_places.items()}

    def _judged(self, number: int, layouts: Layouts, places: Places | None = None) -> np.ndarray:
        """What one of `calls` says of the layouts, or of each place for one more block in them.

        In rows: whether it does not fit, what it costs, what it is like.
        """
        self.judged += 1
        call = int(self.calls[number])
        waiting = tuple(sorted((size, n) for size, n in self.waiting[number].items() if n))
        below, above, turns = self._edges(layouts, call)
        gaps = above - below
        if places is None:
            sums = self._measured(waiting, gaps.ravel()).reshape(-1, *gaps.shape).sum(2)
        else:
            at = places.layouts, turns[places.layouts, places.gaps]
            parts = (gaps.ravel(), places.low - below[at], above[at] - places.high, gaps[at])
            measured = self._measured(waiting, np.concatenate(parts))
            sums = measured[:, : gaps.size].reshape(-1, *gaps.shape).sum(2)[:, places.layouts]
            of_parts = measured[:, gaps.size :].reshape(-1, 3, len(places))
            sums += of_parts[:, 0] + of_parts[:, 1] - of_parts[:, 2]
        units, count, filled, likeness, *places_for = sums
        misfits = filled < sum(size * n for size, n in waiting)
        large = 0
        for (_, n), found in zip(waiting[:0:-1], places_for[::-1], strict=True):
            large += n
            misfits |= found < large
        cost = _WASTE * (units - filled) // (int(self.slack[call]) + 1) + _GAP * count
        return np.stack(
            [misfits, cost, mixed(likeness.view(np.uint64) + np.uint64(number)).view(np.int64)]
        )

    def _measured(self, waiting: tuple[tuple[int, int], ...], gaps: np.ndarray) -> np.ndarray:
        """What gaps say that is added up: units, how many they are, units that can be filled, a
        number to tell them apart, how many blocks of each size they hold, but of the least size.
        """
        measured = np.empty((4 + len(waiting[1:]), len(gaps)), np.int64)
        measured[0] = gaps
        measured[1] = gaps > 0
        measured[2] = self._filled(waiting, gaps)
        self._mixed.take(gaps, out=measured[3])
        for row, (size, _) in enumerate(waiting[1:], 4):
            np.floor_divide(gaps, size, out=measured[row])
        return measured

    def _edges(self, layouts: Layouts, call: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each gap between blocks still alive during a call begins and ends, by layout.

        Besides, the number of the gap that holds each of those between all blocks.
        """
        alive = layouts.ends > call  # the same blocks in every layout
        rows, columns = alive.shape
        turns = np.zeros((rows, columns + 1), np.int64)
        np.cumsum(alive, 1, out=turns[:, 1:])
        count = np.count_nonzero(alive[0])
        below = np.empty((rows, count + 1), np.int64)
        above = np.empty_like(below)
        below[:, 0], above[:, -1] = self.floor[call], self.ceiling[call]
        below[:, 1:] = layouts.high[alive].reshape(rows, count)
        above[:, :-1] = layouts.low[alive].reshape(rows, count)
        return below, above, turns

    def _filled(self, waiting: tuple[tuple[int, int], ...], gaps: np.ndarray) -> np.ndarray:
        """The most units that blocks of some sizes fill of each gap."""
        if waiting not in self._tables:
            if len(self._tables) >= _KEPT:
                self._tables.clear()
            measure = gcd(*(size for size, _ in waiting)) or self.top + 1
            in_measures = [(size // measure, count) for size, count in waiting]
            table = measure * _most_filled(in_measures, self.top // measure)
            self._tables[waiting] = measure, table
        measure, table = self._tables[waiting]
        return table[gaps // measure]


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
