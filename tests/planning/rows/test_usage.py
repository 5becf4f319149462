"""What is in use when, of plans for random problems."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows.lives import lives_of
from dero_tvm.planning.rows.plan import plan_rows
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor
from dero_tvm.planning.rows.usage import bytes_alive, calls_of_steps, placed_rows, workspaces
from tests.planning.rows.row_problems import random_rows
from tests.random_cases import cases


@cases(100)
@given(st.integers(0, 10**9), st.integers(1, 30))
def test_bytes_alive_are_the_bytes_of_rows_in_the_arena(seed: int, count: int) -> None:
    """Counted on an array that has one flag for each byte."""
    plan = plan_rows(random_rows(seed, count), Budget(1))
    assert plan is not None
    used = np.zeros((len(plan.problem.calls), plan.arena_bytes), bool)
    for row in placed_rows(plan):
        end = row.offset + plan.problem.tensors[row.tensor].row_bytes
        used[row.first : row.last + 1, row.offset : end] = True
    alive = bytes_alive(plan)
    assert alive.tolist() == used.sum(axis=1).tolist() == lives_of(plan.problem).live_bytes.tolist()
    assert alive.max() == plan.live_bytes
    steps = calls_of_steps(plan)
    assert [call for calls in steps for call in calls] == list(range(len(alive)))
    for calls, size in zip(steps, workspaces(plan), strict=True):
        assert 0 <= size <= max((alive[call] for call in calls), default=0)


def test_a_row_that_takes_the_place_of_another_and_is_never_read() -> None:
    """Two lives of one call at one place: its bytes count once."""
    tensors = (
        RowTensor("x", 1, 8, kind=BufferKind.INPUT, in_sequence=True),
        RowTensor("y", 1, 8),
    )
    row = RowRange(0, 0, 1)
    call = Call(0, 0, 0, reads=(row,), writes=(RowRange(1, 0, 1),), in_place=(row,))
    plan = plan_rows(RowProblem(tensors, (call,)), Budget(1))
    assert plan is not None
    assert (plan.arena_bytes, bytes_alive(plan).tolist()) == (8, [8])
    assert bytes_alive(plan, {1}).tolist() == [8]
