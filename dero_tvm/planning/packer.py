"""Addresses in one region: quick methods first, exact ones while a gap is left.

1. the greedy portfolio, then hill climbing from its best;
2. depth-first search over canonical placements, for the lower bound itself and then for ever
   smaller limits;
3. CP-SAT, if OR-Tools is installed.

Every stage ends the work as soon as the lower bound is met.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import canonical, constraint
from .budget import Budget
from .climb import climb
from .greedy import best_greedy, preferences
from .packing import Packing

CLIMB_ITEMS_PER_SECOND = 20_000  # buffers placed in hill climbing
NODES_PER_SECOND = 1_500
QUICK_NODES = 1_000


@dataclass(frozen=True)
class Packed:
    """Addresses, the height they reach, and a height that no placement can go below."""

    offsets: list[int]
    height: int
    bound: int

    @property
    def gap(self) -> int:
        """Bytes by which the height may exceed the optimum."""
        return self.height - self.bound


def pack(packing: Packing, budget: Budget, goal: int = 0) -> Packed:
    """The lowest placement that the budget allows to find.

    A placement of at most `goal` bytes is good enough and ends the search.
    """
    solid = [i for i, size in enumerate(packing.sizes) if size]
    if len(solid) < len(packing):
        packed = pack(packing.subset(solid), budget, goal)
        offsets = [0] * len(packing)
        for i, offset in zip(solid, packed.offsets, strict=True):
            offsets[i] = offset
        return Packed(offsets, packed.height, packed.bound)
    if not solid:
        return Packed([], 0, 0)
    return _Packer(packing, budget, goal).run()


class _Packer:
    def __init__(self, packing: Packing, budget: Budget, goal: int):
        self.packing = packing
        self.budget = budget
        self.bound = packing.lower_bound()
        self.goal = goal
        turns, self.offsets, self.height = best_greedy(packing, max(self.bound, goal))
        self.turns = turns
        self.nodes = budget.nodes(NODES_PER_SECOND, share=0.5)

    def run(self) -> Packed:
        """Run the stages until one meets the target."""
        for stage in (self._quick, self._climb, self._exact, self._constraint):
            if self._done():
                break
            stage()
        return Packed(self.offsets, self.height, self.bound)

    def _done(self) -> bool:
        return self.height <= max(self.bound, self.goal)

    def _target(self) -> int:
        return max(self.bound, self.goal)

    def _quick(self) -> None:
        for preference in preferences(self.packing):
            if self._try(self._target(), preference, min(QUICK_NODES, self.nodes)):
                return

    def _climb(self) -> None:
        rounds = self.budget.nodes(CLIMB_ITEMS_PER_SECOND, share=0.1) // len(self.packing)
        offsets, height = climb(self.packing, self.turns, self._target(), self.budget, rounds)
        if height < self.height:
            self.offsets, self.height = offsets, height

    def _exact(self) -> None:
        """Try the target in turn with each preference, then approach it from above."""
        for preference in preferences(self.packing):
            if self._try(self._target(), preference, self.nodes // 8):
                break
        preference = next(preferences(self.packing))
        while not self._done() and self.nodes > 0:
            if not self._try(self._below(), preference, self.nodes):
                break

    def _below(self) -> int:
        """The greatest height below the present one that a placement can have."""
        unit = min(self.packing.alignments)
        return max(self.height - unit, self._target())

    def _try(self, limit: int, preference: list[int], nodes: int) -> bool:
        """Search for a placement within `limit`; whether there is news: one, or none exists."""
        verdict = canonical.search(self.packing, limit, self.budget, nodes, preference)
        self.nodes -= verdict.nodes
        if verdict.offsets is not None:
            self.offsets = verdict.offsets
            self.height = self.packing.height(self.offsets)
        elif verdict.proven:
            self.bound = min(limit + 1, self.height)
        return verdict.offsets is not None or verdict.proven

    def _constraint(self) -> None:
        seconds = self.budget.remaining()
        offsets, bound = constraint.solve(
            self.packing, self.bound, self.height - 1, seconds, self.offsets
        )
        if offsets is not None:
            self.offsets, self.height = offsets, self.packing.height(offsets)
        self.bound = max(self.bound, min(bound, self.height))
