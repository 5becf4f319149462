"""Addresses in one region: quick methods first, exact ones while a gap is left.

1. the greedy portfolio;
2. ejection, which suits networks (few buffers alive at once, many overlap constraints), and exact
   search, which suits crowds, both for the lower bound itself;
3. a higher lower bound from windows, then the same two for limits between it and the best so far;
4. CP-SAT for what is left, if OR-Tools is installed.

Every stage ends the work as soon as the lower bound is met.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import constraint, skyline
from .budget import Budget
from .ejection import COMPARISONS_PER_MOVE, COMPARISONS_PER_SECOND, eject
from .greedy import best_greedy
from .packing import Packing
from .skyline import EXTRA_ITEMS, QUESTIONS_PER_SECOND
from .strategies import luby, strategies
from .windows import raise_bound

SHORTEST_TRY = 400  # questions
WINDOW_SHARE = 0.2  # of the time limit
CONSTRAINT_SHARE = 0.2  # of the time limit


@dataclass(frozen=True)
class Packed:
    """Addresses, the height they reach, and a height that no placement can go below."""

    offsets: list[int]
    height: int
    bound: int


def pack(packing: Packing, budget: Budget, goal: int = 0) -> Packed:
    """The lowest placement that the budget allows to find.

    A placement of at most `goal` bytes is good enough and ends the search; if the goal is not
    below the lower bound, nothing else is looked for.
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
        self.unit = packing.unit
        self.bound = packing.lower_bound()
        self.goal = goal
        self.turns, self.offsets, self.height = best_greedy(packing, self._target())
        self.is_about_goal = goal >= self.bound
        self.questions = budget.nodes(QUESTIONS_PER_SECOND) // (len(packing) + EXTRA_ITEMS)
        neighbours = sum(len(near) for near in packing.neighbours) / len(packing)
        move = int(2 * neighbours**2) + COMPARISONS_PER_MOVE
        self.moves = budget.nodes(COMPARISONS_PER_SECOND, share=0.01) // move

    def run(self) -> Packed:
        """Run the stages until one meets the target."""
        for stage in (
            self._eject,
            self._meet_quickly,
            self._raise_bound,
            self._eject,
            self._meet,
            self._approach,
            self._constraint,
        ):
            if self.height <= self._target():
                break
            stage()
        return Packed(self.offsets, self.height, self.bound)

    def _target(self) -> int:
        return max(self.bound, self.goal)

    def _eject(self) -> None:
        """Meet the target by ejection, or halve the way to it again and again."""
        floor = limit = self._target()
        while floor < self.height:
            found = eject(self.packing, limit, self.turns, self.budget.part(1), self.moves)
            if found is not None:
                self._accept(found)
            else:
                floor = limit + self.unit
            limit = self._between(floor)
            if self.is_about_goal:
                break

    def _between(self, floor: int) -> int:
        """A limit about halfway from `floor` to the height, and below that."""
        return floor + (self.height - self.unit - floor) // self.unit // 2 * self.unit

    def _meet_quickly(self) -> None:
        self._decide(self._target(), 1 if self.is_about_goal else 1 / 32)

    def _raise_bound(self) -> None:
        questions = self.budget.nodes(QUESTIONS_PER_SECOND, WINDOW_SHARE) // EXTRA_ITEMS
        budget = self.budget.part(WINDOW_SHARE)
        self.bound = raise_bound(self.packing, self.bound, self.height, budget, questions)

    def _meet(self) -> None:
        self._decide(self._target(), 1 / 4)

    def _approach(self) -> None:
        """Halve the gap while the search can tell; then go down from above."""
        floor = self._target()
        while floor < self.height:
            limit = self._between(floor)
            self._decide(limit, 1 / 16)
            floor = max(self.bound, min(limit + self.unit, self.height))
        while self.height > self._target():
            if not self._decide(self.height - self.unit, 1):
                break

    def _constraint(self) -> None:
        seconds = self.budget.seconds * CONSTRAINT_SHARE
        offsets, bound = constraint.solve(
            self.packing, self.bound, self.height - self.unit, seconds, self.offsets
        )
        if offsets is not None:
            self._accept(offsets)
        self.bound = max(self.bound, min(bound, self.height))

    def _accept(self, offsets: list[int]) -> None:
        self.offsets, self.height = offsets, self.packing.height(offsets)

    def _decide(self, limit: int, share: float) -> bool:
        """Search for a placement within `limit`; whether it is settled if there is one.

        The exact search may use a share of the questions that are left.
        """
        reserve = self.questions - int(self.questions * share)
        shortest = max(SHORTEST_TRY, 2 * len(self.packing))
        for strategy, factor in zip(strategies(self.packing), luby(), strict=False):
            allowed = min(factor * shortest, self.questions - reserve)
            if allowed <= 0:
                return False
            budget = self.budget.part(1)
            verdict = skyline.search(self.packing, limit, budget, allowed, strategy)
            self.questions -= verdict.nodes
            if verdict.offsets is not None:
                self._accept(verdict.offsets)
                return True
            if verdict.proven:
                self.bound = min(limit + self.unit, self.height)
                return True
            if not verdict.nodes:
                return False  # too large for the exact search
        return False
