"""The search for places call by call: what it finds is legal, also beside tensors in sequence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.rows.layout_search import place_call_by_call
from dero_tvm.planning.rows.lives import Block, Rectangle
from tests.planning.rows.test_exact_placement import ROW, cut_up
from tests.random_cases import cases

CALLS = 8
ROWS = range(CALLS)
READ_ONCE = Block(tuple(Rectangle(0, row + 1, ROW * row, ROW) for row in ROWS), 4)
WRITTEN_ONCE = Block(tuple(Rectangle(row, CALLS, ROW * row, ROW) for row in ROWS), 4)
MADE = [Block((Rectangle(row, CALLS, 0, ROW),), 4) for row in ROWS]
USED = [Block((Rectangle(0, row + 1, 0, ROW),), 4) for row in ROWS]


def is_legal(blocks: Sequence[Block], addresses: Sequence[int], limit: int) -> bool:
    """Whether no two rectangles that meet in time meet in memory, all within `limit`."""
    placed = [
        (part, address + part.offset)
        for block, address in zip(blocks, addresses, strict=True)
        for part in block.rectangles
    ]
    inside = all(0 <= low and low + part.size <= limit for part, low in placed)
    return inside and not any(
        one.start < other.end
        and other.start < one.end
        and low < high + other.size
        and high < low + one.size
        for (one, low), (other, high) in combinations(placed, 2)
    )


@cases(60)
@given(cut_up())
def test_what_is_found_is_legal(problem: tuple[list[Block], int]) -> None:
    blocks, height = problem
    calls = max(block.end for block in blocks)
    found = place_call_by_call(blocks, calls, 4, 2 * height, Budget(60))
    assert found is not None and is_legal(blocks, found, 2 * height)
    assert place_call_by_call(blocks, calls, 4, height - ROW, Budget(60)) is None
    for backwards in (False, True):
        filled = place_call_by_call(blocks, calls, 4, height, Budget(60), backwards=backwards)
        assert filled is None or is_legal(blocks, filled, height)


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([READ_ONCE, *MADE], id="rows that are made take the places of an array's"),
        pytest.param([*USED, WRITTEN_ONCE], id="an array takes the places of rows"),
        pytest.param([READ_ONCE, WRITTEN_ONCE], id="one array takes the places of another"),
    ],
)
def test_arrays_at_the_ends_of_the_arena(blocks: list[Block]) -> None:
    least = ROW * (CALLS + 1)
    found = place_call_by_call(blocks, CALLS, 4, least, Budget(1))
    assert found is not None and is_legal(blocks, found, least)


def test_arrays_that_reach_into_each_other_find_no_place() -> None:
    blocks = [READ_ONCE, WRITTEN_ONCE]
    assert place_call_by_call(blocks, CALLS, 4, ROW * CALLS, Budget(1)) is None


def test_a_spent_budget_ends_the_search() -> None:
    assert place_call_by_call(MADE, CALLS, 4, ROW * CALLS, Budget(0)) is None
