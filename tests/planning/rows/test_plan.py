"""Plans with row placement: the check passes on what planning makes of random problems."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows.call_graph import CallGraph
from dero_tvm.planning.rows.order import operations_of
from dero_tvm.planning.rows.plan import plan_rows
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor
from tests.planning.rows.row_problems import random_rows
from tests.random_cases import cases


@cases(300)
@given(st.integers(0, 10**9), st.integers(1, 30))
def test_every_row_is_found_where_it_was_made(seed: int, count: int) -> None:
    """`plan_rows` raises if not; kept inputs and outputs are looked at when all is done."""
    plan = plan_rows(random_rows(seed, count), Budget(1))
    assert plan is not None
    assert plan.arena_bytes >= plan.live_bytes


def test_scratch_lies_above_rows_that_fill_the_arena() -> None:
    """Within the most bytes alive, rows found no place around scratch that comes and goes."""
    rows, sizes, around, scratch = 8, (8, 16, 32, 24, 24, 16, 48), (0, 0, 1, 2, 0, 0), 8
    tensors = [RowTensor(f"t{n}", rows, size, 8) for n, size in enumerate(sizes)]
    tensors.append(RowTensor("scratch", 1, scratch, 8, BufferKind.SCRATCH, True))
    calls = [Call(0, 0, row, (), (RowRange(0, row, row + 1),)) for row in range(rows)]
    for layer, reach in enumerate(around, 1):
        uses = (len(sizes),) if layer == 2 else ()
        for row in range(rows):
            read = RowRange(layer - 1, max(row - reach, 0), min(row + reach + 1, rows))
            calls.append(Call(0, layer, row, (read,), (RowRange(layer, row, row + 1),), uses))
    last = len(around)
    calls += [Call(0, last + 1, row, (RowRange(last, row, row + 1),)) for row in range(rows)]
    problem = RowProblem(tuple(tensors), tuple(calls))
    order = CallGraph(problem, list(operations_of(problem).values())).demand_driven()
    assert order is not None
    demanded = RowProblem(problem.tensors, tuple(problem.calls[number] for number in order))
    plan = plan_rows(demanded, Budget(1))
    assert plan is not None and plan.arena_bytes <= plan.live_bytes + scratch
