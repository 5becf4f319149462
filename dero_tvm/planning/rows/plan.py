"""Row placement: an address for every row, given the order of the calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..budget import Budget
from .lives import Lives, lives_of
from .order import good_orders
from .placement import place_rows
from .problem import RowProblem
from .runs import Run, runs_of
from .verify import verify_order, verify_rows


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
    plan: RowPlan | None = None
    for ordered in (*(good_orders(problem, budget, below) if reorder else ()), problem):
        lives = lives_of(ordered)
        # Of equal plans the last one is taken: its order needs no list.
        if below is not None and lives.peak >= below:
            continue
        if plan is None or lives.peak <= plan.arena_bytes:
            placed = _placed(ordered, lives, runs_of(problem, ordered), budget)
            if plan is None or placed.arena_bytes <= plan.arena_bytes:
                plan = placed
    if plan is None or (below is not None and plan.arena_bytes >= below):
        return None
    verify_order(problem, plan.problem)
    verify_rows(plan.problem, plan.offsets, plan.arena_bytes)
    return plan


def _placed(problem: RowProblem, lives: Lives, runs: tuple[Run, ...], budget: Budget) -> RowPlan:
    unit = reach(lives.peak)
    placed = place_rows(lives, unit, budget)
    if reach(placed.height) > unit:
        unit = reach(2 * lives.peak)
        placed = place_rows(lives, unit, budget)
    offsets = {
        tensor.name: tuple(
            None if home is None else placed.offsets[home[0]] + home[1] for home in homes
        )
        for tensor, homes in zip(problem.tensors, lives.homes, strict=True)
    }
    return RowPlan(problem, offsets, placed.height, lives.peak, runs)
