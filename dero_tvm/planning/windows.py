"""A better lower bound than live bytes: solve the buffers of a few consecutive moments exactly.

The bytes alive at one moment can always be stacked.  Those of several together may not fit as low,
for a buffer alive at both has one address, which must suit both.  Here every output overlaps its
input, a row (`-`) below it: each moment alone needs 4 rows, both together 5.

    address
      ^  - - a - -
      |  . a and b .   - - b - -
      |  . a and b .   . b and c .
      |  - - b - -     . b and c .
      |                - - c - -
      +--- moment 1 ----- moment 2 ---> time

Buffers left out only make a packing easier, so what the buffers of a window need is a lower bound
for all.  Where a plan cannot meet the live bytes, the reason is mostly local like this.
"""

from __future__ import annotations

import math

from . import skyline
from .budget import Budget
from .ejection import COMPARISONS_PER_SECOND, eject
from .greedy import best_greedy
from .packing import Packing
from .skyline import Strategy

WIDTHS = (2, 3, 4, 6)  # moments
PATIENCE = (400, 5_000)  # questions of the exact search about one window, in the two rounds
MOVES = 200  # of ejection
GREEDY_ORDERS = 10
PROMISING = 32  # windows of each width


def raise_bound(packing: Packing, bound: int, height: int, budget: Budget, questions: int) -> int:
    """The highest lower bound from windows of `packing`, at least `bound`, at most `height`.

    All windows have their turn before any gets the longer patience; about `questions` are asked.
    """
    run = _Raise(height, budget, questions, bound, packing.unit)
    windows = [packing.subset(items) for width in WIDTHS for items in _windows(packing, width)]
    for patience in PATIENCE:
        for window in windows:
            run.solve(window, patience)
    return run.bound


def _windows(packing: Packing, width: int) -> list[tuple[int, ...]]:
    """The items of runs of `width` moments, those with the most bytes first."""
    moments = sorted(set(packing.starts))
    found: dict[tuple[int, ...], int] = {}
    for first in range(max(len(moments) - width + 1, 1)):
        begin, end = moments[first], moments[min(first + width, len(moments)) - 1]
        items = tuple(
            i
            for i, (start, stop) in enumerate(zip(packing.starts, packing.ends, strict=True))
            if start <= end and stop > begin
        )
        found[items] = sum(packing.sizes[i] for i in items)
    return sorted(found, key=lambda items: (-found[items], items))[:PROMISING]


class _Raise:
    """The state of raising a bound; bound and height are multiples of the unit."""

    def __init__(self, height: int, budget: Budget, questions: int, bound: int, unit: int):
        self.height = height
        self.budget = budget
        self.left = questions
        self.bound = bound
        self.unit = unit

    def solve(self, window: Packing, patience: int) -> None:
        """Raise the bound to the least limit at which the window may have a place."""
        if self.bound >= self.height:
            return
        highest = self.height - self.unit
        if self._has_no_place(window, highest, patience):
            self.bound = self.height
            return
        if highest == self.bound or not self._has_no_place(window, self.bound, patience):
            return
        low, high = self.bound + self.unit, highest  # no place below low
        while low < high:
            middle = low + (high - low) // self.unit // 2 * self.unit
            if self._has_no_place(window, middle, patience):
                low = middle + self.unit
            else:
                high = middle
        self.bound = low

    def _has_no_place(self, window: Packing, limit: int, patience: int) -> bool:
        """Whether it is proven that nothing of at most `limit` bytes holds the window."""
        if self.left <= 0 or self.budget.expired():
            return False
        # A place for each window in several orders, and in ejection, count against the budget; the
        # questions of the exact search have a limit of their own.
        neighbours = sum(map(len, window.neighbours))
        self.budget.spend(GREEDY_ORDERS * neighbours, COMPARISONS_PER_SECOND)
        turns, _, height = best_greedy(window, limit)
        if height <= limit or eject(window, limit, turns, self.budget, MOVES) is not None:
            return False
        by_size = Strategy(tuple(sorted(range(len(window)), key=lambda i: (-window.sizes[i], i))))
        relaxed = min(window.overlaps.values(), default=0) < 0
        budget = Budget(math.inf)
        verdict = skyline.search(window, limit, budget, patience, by_size, relaxed=relaxed)
        self.left -= verdict.nodes
        return verdict.offsets is None and verdict.proven
