"""Addresses in one region: quick methods first, exact ones while a gap is left.

1. the greedy portfolio;
2. exact search for the lower bound itself, restarted with ever new strategies;
3. hill climbing, then exact search for limits between the bound and the best so far;
4. CP-SAT for what is left, if OR-Tools is installed.

Every stage ends the work as soon as the lower bound is met.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import constraint, skyline
from .budget import Budget
from .climb import climb
from .greedy import best_greedy
from .packing import Packing
from .strategies import luby, strategies

CLIMB_ITEMS_PER_SECOND = 15_000  # buffers placed in hill climbing
QUESTIONS_PER_SECOND = 300_000  # of the exact search, for a packing of one item; n items: 1 / n
SHORTEST_TRY = 400  # questions
CONSTRAINT_SHARE = 0.2  # of the time limit


@dataclass(frozen=True)
class Packed:
    """Addresses, the height they reach, and a height that no placement can go below."""

    offsets: list[int]
    height: int
    bound: int


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
        self.turns, self.offsets, self.height = best_greedy(packing, self._target())
        self.questions = budget.nodes(QUESTIONS_PER_SECOND) // len(packing)

    def run(self) -> Packed:
        """Run the stages until one meets the target."""
        for stage in (self._exact, self._climb, self._approach, self._constraint):
            if self.height <= self._target():
                break
            stage()
        return Packed(self.offsets, self.height, self.bound)

    def _target(self) -> int:
        return max(self.bound, self.goal)

    def _exact(self) -> None:
        """Look for a placement that meets the target."""
        settles_all = self.goal >= self.bound  # reaching the goal is all that is wanted
        self._decide(self._target(), self.questions if settles_all else self.questions // 2)

    def _climb(self) -> None:
        rounds = self.budget.nodes(CLIMB_ITEMS_PER_SECOND, share=0.1) // len(self.packing)
        offsets, height = climb(self.packing, self.turns, self._target(), self.budget, rounds)
        if height < self.height:
            self.offsets, self.height = offsets, height

    def _approach(self) -> None:
        """Halve the gap while the search can tell; then go down from above."""
        floor = self._target()
        while floor < self.height:
            limit = (floor + self.height - 1) // 2
            self._decide(limit, self.questions // 8)
            floor = max(self.bound, min(limit + 1, self.height))
        while self.height > self._target():
            if not self._decide(self.height - 1, self.questions):
                break

    def _constraint(self) -> None:
        seconds = min(self.budget.seconds * CONSTRAINT_SHARE, self.budget.remaining())
        offsets, bound = constraint.solve(
            self.packing, self.bound, self.height - 1, seconds, self.offsets
        )
        if offsets is not None:
            self.offsets, self.height = offsets, self.packing.height(offsets)
        self.bound = max(self.bound, min(bound, self.height))

    def _decide(self, limit: int, questions: int) -> bool:
        """Search for a placement within `limit`; whether it is settled if there is one."""
        shortest = max(SHORTEST_TRY, 2 * len(self.packing))
        for strategy, factor in zip(strategies(self.packing), luby(), strict=False):
            allowed = min(factor * shortest, questions, self.questions)
            if allowed <= 0 or self.budget.expired():
                return False
            verdict = skyline.search(self.packing, limit, self.budget, allowed, strategy)
            questions -= max(verdict.nodes, 1)
            self.questions -= max(verdict.nodes, 1)
            if verdict.offsets is not None:
                self.offsets = verdict.offsets
                self.height = self.packing.height(self.offsets)
                return True
            if verdict.proven:
                self.bound = min(limit + 1, self.height)
                return True
        return False
