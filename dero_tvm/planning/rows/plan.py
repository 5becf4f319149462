"""Planning by rows: an address for every row, given the order of the calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..budget import Budget
from .lives import lives_of
from .order import best_order
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


def plan_rows(problem: RowProblem, budget: Budget) -> RowPlan:
    """A verified plan: in the order of `problem`, or in the best that is found if it is smaller.

    Addresses are multiples of the bytes with which a table of two-byte entries reaches them all.
    """
    ordered = best_order(problem, budget)
    plan = _placed(ordered, runs_of(problem, ordered), budget)
    if ordered is not problem and lives_of(problem).peak <= plan.arena_bytes:
        written = _placed(problem, runs_of(problem, problem), budget)
        plan = written if written.arena_bytes <= plan.arena_bytes else plan
    verify_order(problem, plan.problem)
    verify_rows(plan.problem, plan.offsets, plan.arena_bytes)
    return plan


def _placed(problem: RowProblem, runs: tuple[Run, ...], budget: Budget) -> RowPlan:
    lives = lives_of(problem)
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
