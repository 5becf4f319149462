"""Planning by rows: an address for every row, given the order of the calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..budget import Budget
from .lives import lives_of
from .placement import place_rows
from .problem import RowProblem
from .verify import verify_rows


@dataclass(frozen=True)
class RowPlan:
    """Where each row lies.

    `offsets` has for each tensor the bytes from the start of the arena to each of its rows; None
    for rows that are never made.  `live_bytes` is the most that is alive during a call: no
    placement in this order of calls can need less.
    """

    problem: RowProblem
    offsets: Mapping[str, tuple[int | None, ...]]
    arena_bytes: int
    live_bytes: int


def reach(arena_bytes: int) -> int:
    """The least power of two of which 2**16 multiples reach all of an arena."""
    unit = 1
    while arena_bytes > unit << 16:
        unit *= 2
    return unit


def plan_rows(problem: RowProblem, budget: Budget) -> RowPlan:
    """A verified plan.

    Addresses are multiples of the bytes with which a table of two-byte entries reaches them all.
    """
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
    plan = RowPlan(problem, offsets, placed.height, lives.peak)
    verify_rows(plan.problem, plan.offsets, plan.arena_bytes)
    return plan
