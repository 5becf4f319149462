"""Row placement: an address for every row, given the order of the calls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..budget import Budget
from .lives import Lives, lives_of
from .order import good_orders, other_orders
from .placement import (
    Placed,
    fitted,
    fitted_from_the_middle,
    is_worth_a_search,
    lowered,
    place_rows,
    with_scratch_on_top,
)
from .problem import RowProblem
from .runs import Run, runs_of
from .verify import verify_order, verify_rows

_MORE = 0.4  # of the time limit, for what comes behind regular placements, in all orders
_MIDDLE = 0.4  # of that, for what goes from the middle towards both ends
_OFTEN_FULL = 0.1  # the least part of all calls for which that pays
_OTHERS = 0.15  # of that, for orders in which as little is alive
_BELOW_SCRATCH = 0.15  # as much again, where scratch is


@dataclass(frozen=True)
class RowPlan:
    """Where each row lies.

    `offsets` has for each tensor the bytes from the start of the arena to each of its rows; None
    for rows that are never made.  `live_bytes` is the most that is alive during a call: no
    placement in this order of calls can need less.  The calls of `problem` are in the order of
    execution, in which cascades form the `runs`.
    """

    problem: RowProblem
    offsets: Mapping[str, tuple[int | None, ...]]
    arena_bytes: int
    live_bytes: int
    runs: tuple[Run, ...]


def reach(arena_bytes: int) -> int:
    """The least power of two of which 2**16 multiples reach all of an arena."""
    unit = 1
    while arena_bytes > unit << 16:
        unit *= 2
    return unit


def plan_rows(
    problem: RowProblem,
    budget: Budget,
    *,
    reorder: bool = True,
    below: int | None = None,
    share: float = 1.0,
) -> RowPlan | None:
    """A verified plan: in the order of `problem`, or in one that is found, if that is smaller.

    None if it would not be smaller than `below` bytes.  Addresses are multiples of the bytes with
    which a table of two-byte entries reaches them all.  Of the search that begins where regular
    placements leave a gap, only a `share` is done.
    """
    most = math.inf if below is None else below - 1
    search = _Search(most, budget, share)
    for ordered in (*(good_orders(problem, budget, below) if reorder else ()), problem):
        search.add(ordered)
    if not search.ways:
        return None
    search.fit()
    search.fit_from_the_middle()
    if reorder and is_worth_a_search(search.height, search.least):
        search.fit_one_of(other_orders(problem, search.least, budget))
    search.lower()
    search.fit_below_scratch()
    best = search.best
    if best is None or best.height > most:
        return None
    plan = best.plan(problem)
    verify_order(problem, plan.problem)
    verify_rows(plan.problem, plan.offsets, plan.arena_bytes)
    return plan


class _Search:
    """Several orders, of which the one that needs the fewest bytes is wanted, `most` of them."""

    def __init__(self, most: float, budget: Budget, share: float) -> None:
        self.most = most
        self.budget = budget
        self.more = budget.part(share * _MORE)
        self.ways: list[_Way] = []
        self.others: list[_Way] = []  # whose rows are not placed
        self.best: _Way | None = None

    @property
    def height(self) -> float:
        """Bytes of the best placement; one more than are wanted if none is smaller."""
        return min(self.most + 1, math.inf if self.best is None else self.best.height)

    @property
    def least(self) -> int:
        """The fewest bytes that a placement in one of the orders may need."""
        return min(way.lives.peak for way in self.ways)

    def add(self, ordered: RowProblem) -> None:
        """Place the rows of one more order, unless that is no use."""
        lives = lives_of(ordered)
        if lives.peak <= min(self.most, math.inf if self.best is None else self.best.height):
            self.ways.append(_placed(ordered, lives, self.budget))
            self._prefer(self.ways[-1])

    def fit(self) -> None:
        """Look for a placement within the most bytes alive in some order."""
        for way in sorted(self.ways, key=lambda way: way.lives.peak):
            if self._may_use(way):
                self._take(way, way.fitted(way.lives.peak, self.more))

    def fit_from_the_middle(self) -> None:
        """The same from the middle of the calls during which most is alive, if they are many."""
        way = min(self.ways, key=lambda way: way.lives.peak)
        full = np.mean(way.lives.live_bytes == way.lives.peak)
        worth = full >= _OFTEN_FULL and is_worth_a_search(self.height, way.lives.peak)
        if worth and self._may_use(way):
            budget = self.more.part(_MIDDLE)
            found = fitted_from_the_middle(way.lives, way.unit, way.placed.turns, budget)
            self._take(way, found)
            self.more.spent += budget.spent

    def fit_one_of(self, orders: Iterable[RowProblem]) -> None:
        """The same in some more orders, in which rows are not placed if they do not fit."""
        budget = self.more.part(_OTHERS)
        for ordered in orders:
            lives = lives_of(ordered)
            way = _Way(ordered, lives, reach(lives.peak), Placed((), 0, ()))
            if self._may_use(way) and not budget.expired():
                self._take(way, way.fitted(lives.peak, budget))
                self.others.append(way)
        self.more.spent += budget.spent

    def lower(self) -> None:
        """Look for lower and lower placements in all orders."""
        for way in self.ways:
            if self._may_use(way) and is_worth_a_search(self.height, way.lives.peak):
                found = lowered(way.lives, way.unit, way.placed, self.height, self.more)
                self._take(way, found)

    def fit_below_scratch(self) -> None:
        """Look for placements with scratch above the most bytes alive, in all orders."""
        budget = self.more.part(_BELOW_SCRATCH)
        for way in (*self.ways, *self.others):
            limit = with_scratch_on_top(way.lives)
            has_scratch = limit > way.lives.peak and reach(limit) <= way.unit
            if has_scratch and is_worth_a_search(self.height, limit) and not budget.expired():
                self._take(way, way.fitted(limit, budget))

    def _may_use(self, way: _Way) -> bool:
        return way.lives.peak < self.height and not self.more.expired()

    def _prefer(self, way: _Way) -> None:
        """Take the placement of a way if it is among the smallest.

        Of equal ones the last is taken: the order of the calls as they were given needs no list.
        """
        if self.best is None or way.height <= self.best.height:
            self.best = way

    def _take(self, way: _Way, placed: Placed | None) -> None:
        if placed is not None and placed.height < self.height:
            self.best = replace(way, placed=placed)


@dataclass(frozen=True)
class _Way:
    """An order of calls with a placement at multiples of `unit` bytes."""

    problem: RowProblem
    lives: Lives
    unit: int
    placed: Placed

    @property
    def height(self) -> int:
        return self.placed.height

    def fitted(self, limit: int, budget: Budget) -> Placed | None:
        """A placement within `limit` bytes, if one is found."""
        return fitted(self.lives, self.unit, self.placed.turns, limit, budget)

    def plan(self, written: RowProblem) -> RowPlan:
        offsets = {
            tensor.name: tuple(
                None if home is None else self.placed.offsets[home[0]] + home[1] for home in homes
            )
            for tensor, homes in zip(self.problem.tensors, self.lives.homes, strict=True)
        }
        runs = runs_of(written, self.problem)
        return RowPlan(self.problem, offsets, self.height, self.lives.peak, runs)


def _placed(problem: RowProblem, lives: Lives, budget: Budget) -> _Way:
    unit = reach(lives.peak)
    placed = place_rows(lives, unit, budget)
    if reach(placed.height) > unit:
        unit = reach(2 * lives.peak)
        placed = place_rows(lives, unit, budget)
    return _Way(problem, lives, unit, placed)
