"""The timeline of a row placement, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from dero_tvm.planning.rows.plan import RowPlan
from dero_tvm.planning.rows.usage import (
    PlacedRow,
    bytes_alive,
    calls_of_steps,
    placed_rows,
    steps_of_calls,
)
from dero_tvm.schedule.network import Network

from .timeline import Cell, ReportedBuffer


def peak_calls(plan: RowPlan) -> Iterator[tuple[int, int, int]]:
    """For each step its number of calls, the one with most bytes alive, and these bytes."""
    alive = bytes_alive(plan)
    for calls in calls_of_steps(plan):
        peak = max(calls, key=lambda call: alive[call])
        yield len(calls), peak, int(alive[peak])


def row_buffers(
    network: Network,
    plan: RowPlan,
    region: str,
    busy: list[set[str]],
    shortcuts: Mapping[str, Iterable[str]],
) -> Iterator[ReportedBuffer]:
    """The tensors of a row placement; `busy` has for each step those that an operator makes use of.

    `shortcuts` maps tensors to the residual joins that they wait for.
    """
    values: dict[str, list[str]] = {}
    for name, value in network.values.items():
        values.setdefault(value.buffer, []).append(name)
    rows: dict[int, list[PlacedRow]] = {}
    for row in placed_rows(plan):
        rows.setdefault(row.tensor, []).append(row)
    steps = steps_of_calls(plan)
    for number, placed in rows.items():
        tensor = plan.problem.tensors[number]
        cells = _cells(placed, tensor.row_bytes)
        first, last = (
            steps[at] for at in (min(c.first_call for c in cells), max(c.last_call for c in cells))
        )
        held = values.get(tensor.name, ())
        joins = tuple(dict.fromkeys(join for name in held for join in shortcuts.get(name, ())))
        idle = [step for step in range(first, last + 1) if joins and tensor.name not in busy[step]]
        yield ReportedBuffer(
            tensor.name,
            tensor.label or tensor.name,
            tensor.kind.value,
            _most(cells),
            region,
            min(cell.offset for cell in cells),
            first,
            last,
            tuple(f"{name} {network.values[name].spec.described}" for name in held),
            joins,
            tuple(idle),
            tensor.rows,
            tuple(cells),
            network.layers_of(held),
        )


def _most(cells: Iterable[Cell]) -> int:
    """The most bytes of them that are alive at once."""
    change: Counter[int] = Counter()
    for cell in cells:
        change[cell.first_call] += cell.size
        change[cell.last_call + 1] -= cell.size
    return max(accumulate(change[call] for call in sorted(change)))


def _cells(rows: list[PlacedRow], row_bytes: int) -> list[Cell]:
    """Rows that lie side by side and live equally long, as one."""
    cells: list[Cell] = []
    for row in rows:
        life = (row.first, row.last)
        if cells:
            last = cells[-1]
            beside = row.offset == last.offset + last.size and row.row == last.row + last.rows
            if beside and life == (last.first_call, last.last_call):
                size = last.size + row_bytes
                cells[-1] = Cell(last.row, last.rows + 1, last.offset, size, *life)
                continue
        cells.append(Cell(row.row, 1, row.offset, row_bytes, *life))
    return cells
