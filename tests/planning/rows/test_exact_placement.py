"""The exact search for places of rows: what it finds is legal, and it finds what must exist."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.rows.exact_placement import place_exactly
from dero_tvm.planning.rows.lives import Block, Rectangle
from tests.random_cases import cases

ROW = 8  # bytes


@st.composite
def cut_up(draw: st.DrawFn) -> tuple[list[Block], int]:
    """Rows that fill an arena without a gap: it is cut in two again and again, by time or size."""
    height = draw(st.integers(2, 8))
    pieces = [(0, draw(st.integers(2, 8)), 0, height)]
    for _ in range(draw(st.integers(1, 20))):
        start, end, low, high = pieces.pop(draw(st.integers(0, len(pieces) - 1)))
        if draw(st.booleans()) and end - start > 1:
            middle = draw(st.integers(start + 1, end - 1))
            pieces += [(start, middle, low, high), (middle, end, low, high)]
        elif high - low > 1:
            middle = draw(st.integers(low + 1, high - 1))
            pieces += [(start, end, low, middle), (start, end, middle, high)]
        else:
            pieces.append((start, end, low, high))
    rows = [Rectangle(start, end, 0, ROW * (high - low)) for start, end, low, high in pieces]
    return [Block((row,), 4) for row in draw(st.permutations(rows))], ROW * height


@cases(100)
@given(cut_up())
def test_rows_that_fill_an_arena(problem: tuple[list[Block], int]) -> None:
    blocks, height = problem
    found = place_exactly(blocks, 4, height, Budget(60))
    assert found is not None
    placed = [(block.rectangles[0], address) for block, address in zip(blocks, found)]
    assert all(0 <= address <= height - row.size and address % 4 == 0 for row, address in placed)
    for (one, low), (other, high) in combinations(placed, 2):
        together = one.start < other.end and other.start < one.end
        assert not together or low + one.size <= high or high + other.size <= low
    assert place_exactly(blocks, 4, height - 4, Budget(60)) is None


def test_a_sequence_is_left_to_others() -> None:
    sequence = Block((Rectangle(0, 1, 0, 8), Rectangle(0, 2, 8, 8)), 4)
    assert place_exactly([sequence], 4, 16, Budget(1)) is None
