"""Row placement: an address for every row, given the order of the calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..budget import Budget
from .lives import Lives, lives_of
from .order import good_orders
from .placement import Placed, lowered, place_rows
from .problem import RowProblem
from .runs import Run, runs_of
from .verify import verify_order, verify_rows

_EJECTION = 0.4  # of the time limit, for all orders


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
    problem: RowProblem, budget: Budget, *, reorder: bool = True, below: int | None = None
) -> RowPlan | None:
    """A verified plan: in the order of `problem`, or in one that is found, if that is smaller.

    None if it would not be smaller than `below` bytes.  Addresses are multiples of the bytes with
    which a table of two-byte entries reaches them all.
    """
    most = math.inf if below is None else below - 1
    best: _Way | None = None
    ways = []
    for ordered in (*(good_orders(problem, budget, below) if reorder else ()), problem):
        lives = lives_of(ordered)
        if lives.peak <= (most if best is None else min(most, best.height)):
            ways.append(way := _placed(ordered, lives, budget))
            # Of equal plans the last one is taken: its order needs no list.
            if best is None or way.height <= best.height:
                best = way
    if best is None:
        return None
    ejection = budget.part(_EJECTION)
    for way in ways:
        if way.lives.peak < best.height and not ejection.expired():
            found = lowered(way.lives, way.unit, way.placed, min(most + 1, best.height), ejection)
            if found is not None:
                best = replace(way, placed=found)
    if best.height > most:
        return None
    plan = best.plan(problem)
    verify_order(problem, plan.problem)
    verify_rows(plan.problem, plan.offsets, plan.arena_bytes)
    return plan


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
