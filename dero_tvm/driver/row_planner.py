"""Memory plans in which every row has an address of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..aot.kernels import takes_table
from ..planning import MemoryPlan, Options
from ..planning.budget import Budget
from ..planning.persistent import persistent_part, with_states, without_states
from ..planning.plan import Placement
from ..planning.rows.plan import plan_rows
from ..planning.rows.problem import RowProblem
from ..schedule.buffers import TakesTable
from ..schedule.network import Network
from ..schedule.to_problem import Scheduled
from ..schedule.to_rows import to_rows

_MOST_CALLS = 20_000
_MOST_READS = 1 << 18  # of a row by a call: several times as many as those calls have in a network


def reads_of_rows(network: Network) -> int:
    """How often calls of row kernels read a row of what is no constant."""
    operators = [op.in_schedule() for op in network.operations if not op.function]
    needs = [
        op.needs(index)
        for op in operators
        for index, name in enumerate(op.operands)
        if name in network.values
    ]
    return sum(int(np.maximum(one.last - one.first, 0).sum()) for one in needs)


def exceeds_row_placement(network: Network) -> bool:
    """Whether there are more calls of row kernels, or reads of rows, than are followed one by one.

    Such a network's rows lie in rings.
    """
    operations = network.operations
    calls = sum(op.in_schedule().steps for op in operations if not op.function)
    return calls > _MOST_CALLS or reads_of_rows(network) > _MOST_READS


def row_problem(
    scheduled: Scheduled,
    order: Sequence[int],
    options: Options,
    alignment: int,
    tables: TakesTable = takes_table,
) -> RowProblem:
    """The calls of row kernels that run `scheduled` with its cascades in `order`."""
    return to_rows(
        scheduled,
        order,
        takes_table=tables,
        keep_inputs=options.keep_inputs,
        external_io=options.external_io,
        alignment=alignment,
    )


def plan_row_placement(
    scheduled: Scheduled,
    options: Options,
    *,
    alignment: int = 4,
    below: int | None = None,
    tables: TakesTable = takes_table,
    share: float = 1.0,
    seen: list[RowProblem] | None = None,
) -> MemoryPlan | None:
    """A plan with the calls of all cascades in the best order found.

    `alignment` in bytes, as in `to_problem`; `tables` says which kernels look rows up, and `share`
    how much of the search is done that begins where regular placements leave a gap.

    None if it would not be smaller than `below` bytes, does not fit the first region, where all
    rows lie, exceeds what is placed row by row, or is among the problems `seen` before, to which
    it is added.
    """
    if exceeds_row_placement(scheduled.network):
        return None
    order = tuple(range(len(scheduled.network.cascades)))
    problem = row_problem(scheduled, order, options, alignment, tables)
    if seen is not None:
        if problem in seen:
            return None
        seen.append(problem)
    states = persistent_part(scheduled.problem)
    region, *others = without_states(scheduled.problem, states).regions
    if states.region != region.name:
        return None
    reorder = options.reorder and not _uses_memory_outside(scheduled.network, options)
    room = None if below is None else below - states.bytes
    rows = plan_rows(problem, Budget(options.time_limit), reorder=reorder, below=room, share=share)
    if rows is None:
        return None
    if region.size is not None and rows.arena_bytes > region.size:
        return None
    placements = {
        tensor.name: Placement(region.name, offset)
        for tensor in rows.problem.tensors
        if tensor.in_sequence and (offset := rows.offsets[tensor.name][0]) is not None
    }
    gap = rows.arena_bytes - rows.live_bytes
    plan = MemoryPlan(
        scheduled.problem,
        options,
        order,
        placements,
        {region.name: rows.arena_bytes, **{other.name: 0 for other in others}},
        rows.live_bytes,
        "written order" if rows.problem.calls == problem.calls else "best order of rows found",
        f"gap {gap:,} bytes" if gap else "meets the lower bound",
        rows,
    )
    return with_states(plan, scheduled.problem, states)


def _uses_memory_outside(network: Network, options: Options) -> bool:
    """Whether operators read states, or outputs that lie outside the arena.

    Planning by rows does not see those, and so not which call waits for which.
    """
    if network.states:
        return True
    outputs = {network.values[p.value].buffer for p in network.outputs if not p.row_streamed}
    operations = network.operations
    read = {name for op in operations for name in op.operands if name in network.values}
    return options.external_io and any(network.values[name].buffer in outputs for name in read)
