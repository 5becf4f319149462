"""What of a row placement is in use when: the life of each row, bytes alive during each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ..problem import BufferKind
from .lives import calls_with, times_of
from .plan import RowPlan


@dataclass(frozen=True)
class PlacedRow:
    """Row `row` of tensor number `tensor` at `offset`, from call `first` to call `last`.

    Scratch is there several times.
    """

    tensor: int
    row: int
    offset: int
    first: int
    last: int


def placed_rows(plan: RowPlan) -> Iterator[PlacedRow]:
    """All rows that are made or handed over, by tensor and number."""
    births, deaths = times_of(plan.problem)
    scratch = calls_with(plan.problem)
    for number, tensor in enumerate(plan.problem.tensors):
        for row, offset in enumerate(plan.offsets[tensor.name]):
            if offset is not None:
                life = (int(births[number][row]), int(deaths[number][row]))
                for first, last in scratch.get(number, (life,)):
                    yield PlacedRow(number, row, offset, first, last)


def bytes_alive(plan: RowPlan, tensors: Collection[int] | None = None) -> np.ndarray:
    """Bytes of `tensors`, or of all, alive during each call; a place that two share counts once."""
    rows = [row for row in placed_rows(plan) if tensors is None or row.tensor in tensors]
    sizes = [tensor.row_bytes for tensor in plan.problem.tensors]
    change = np.zeros(len(plan.problem.calls) + 1, np.int64)
    sharing: Counter[tuple[int, int, int]] = (
        Counter()
    )  # rows by place and call, at the ends of lives
    for row in rows:
        size = sizes[row.tensor]
        change[row.first] += size
        change[row.last + 1] -= size
        sharing.update({(row.offset, size, row.first), (row.offset, size, row.last)})
    alive = np.cumsum(change)[:-1]
    for (_, size, call), count in sharing.items():
        alive[call] -= (count - 1) * size
    return alive


def steps_of_calls(plan: RowPlan) -> list[int]:
    """For each call the number of the run that it is a part of."""
    runs = {
        position: number
        for number, run in enumerate(plan.runs)
        for position in range(run.first, run.end)
    }
    return [runs[call.step] for call in plan.problem.calls]


def calls_of_steps(plan: RowPlan) -> list[range]:
    """The calls of each run, which follow one another."""
    counts = Counter(steps_of_calls(plan))
    ends = accumulate(counts[number] for number in range(len(plan.runs)))
    return [range(end - counts[number], end) for number, end in enumerate(ends)]


def workspaces(plan: RowPlan) -> tuple[int, ...]:
    """For each run the most bytes alive of what no other run has a use for."""
    steps: dict[int, set[int]] = {}
    for number, call in zip(steps_of_calls(plan), plan.problem.calls):
        touched = [rows.tensor for rows in (*call.reads, *call.writes)]
        for tensor in (*touched, *call.uses):
            steps.setdefault(tensor, set()).add(number)
    inner = (BufferKind.INTERMEDIATE, BufferKind.SCRATCH, BufferKind.PATCH)
    own = {
        tensor
        for tensor, used in steps.items()
        if len(used) == 1 and plan.problem.tensors[tensor].kind in inner
    }
    alive = bytes_alive(plan, own)
    return tuple(
        int(alive[calls.start : calls.stop].max(initial=0)) for calls in calls_of_steps(plan)
    )
