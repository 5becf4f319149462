"""Plans with row placement: the check passes on what planning makes of random problems."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.rows.plan import plan_rows
from tests.planning.rows.row_problems import random_rows
from tests.random_cases import cases


@cases(300)
@given(st.integers(0, 10**9), st.integers(1, 30))
def test_every_row_is_found_where_it_was_made(seed: int, count: int) -> None:
    """`plan_rows` raises if not; kept inputs and outputs are looked at when all is done."""
    plan = plan_rows(random_rows(seed, count), Budget(1))
    assert plan is not None
    assert plan.arena_bytes >= plan.live_bytes
