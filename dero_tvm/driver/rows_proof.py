"""What is known of the chosen plan: whether another order of rows could need less memory."""

from __future__ import annotations

from ..planning import MemoryPlan
from ..planning.persistent import persistent_part
from ..planning.problem import BufferKind
from ..planning.rows.bound import RowBound, against_bound, bound_of
from ..planning.rows.branching import raised
from ..schedule.rows_for_bound import NoBound, rows_for_bound
from ..schedule.to_problem import Scheduled
from .network_planner import NetworkPlanner
from .row_planner import reads_of_rows

_CALLS = 7_000  # so many take about a second
_READS = 1 << 17  # likewise, of a row by a call


def rows_proof(planner: NetworkPlanner, scheduled: Scheduled, plan: MemoryPlan) -> str:
    """The sentence of the bound for one plan: by rows, in rings, or of whole tensors."""
    network, order = scheduled.network, plan.order
    if any(op.group is not None for op in network.operations):
        return against_bound(plan.total_bytes, RowBound(None, "some rows are made several times"))
    operations = network.operations
    rows = sum(op.signature.output.rows for op in operations if op.function is None)
    if rows > _CALLS:
        return against_bound(
            plan.total_bytes, RowBound(None, f"{rows:,} rows, more than {_CALLS:,}")
        )
    reads = reads_of_rows(network)
    if reads > _READS:
        return against_bound(
            plan.total_bytes,
            RowBound(None, f"rows are read {reads:,} times, more than {_READS:,}"),
        )
    problem = plan.rows.problem if plan.rows else planner.rows(scheduled, order)
    states = persistent_part(plan.problem).bytes
    inputs = sum(tensor.bytes for tensor in problem.tensors if tensor.kind is BufferKind.INPUT)
    try:
        problem = rows_for_bound(network, order, problem)
    except NoBound as reason:
        return against_bound(plan.total_bytes, RowBound(None, str(reason)))
    cuts = bound_of(problem, _CALLS)
    bound = _with_room_for(inputs, states, cuts)
    if bound.bytes in (None, plan.total_bytes):
        return against_bound(plan.total_bytes, bound)
    in_sequence = _with_room_for(inputs, states, bound_of(problem, _CALLS, sequences=True))
    if in_sequence.bytes == plan.total_bytes:
        by_cases = raised(problem, cuts, plan.total_bytes - states)
        bound = _with_room_for(inputs, states, by_cases)
    return against_bound(plan.total_bytes, bound, in_sequence)


def _with_room_for(inputs: int, states: int, bound: RowBound) -> RowBound:
    """The bound of a network: its inputs are there before the first call, its states always."""
    return bound if bound.bytes is None else RowBound(states + max(bound.bytes, inputs))
