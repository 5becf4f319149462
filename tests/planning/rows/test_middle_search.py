"""The search for places from the middle: legal, and it finds what must be moved at every turn."""

from __future__ import annotations

from hypothesis import given

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.rows.call_graph import CallGraph
from dero_tvm.planning.rows.layout_search import place_call_by_call
from dero_tvm.planning.rows.lives import Block, Lives, lives_of
from dero_tvm.planning.rows.middle_search import place_from_the_middle
from dero_tvm.planning.rows.order import operations_of
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor
from tests.planning.rows.test_exact_placement import ROW, cut_up
from tests.planning.rows.test_layout_search import MADE, is_legal
from tests.random_cases import cases

SAMPLES, WINDOW, STRIDE = 41, 8, 2
FRAMES = (SAMPLES - WINDOW) // STRIDE + 1


@cases(100)
@given(cut_up())
def test_what_is_found_is_legal(problem: tuple[list[Block], int]) -> None:
    blocks, height = problem
    calls = max(block.end for block in blocks)
    found = place_from_the_middle(blocks, calls, 4, height, Budget(1))
    assert found is None or is_legal(blocks, found, height)
    assert place_from_the_middle(blocks, calls, 4, height - ROW, Budget(1)) is None


def sliding_windows() -> Lives:
    """Short rows of sound, of which eight wait while long rows behind them fill all the rest.

    Each frame is made of the last samples, and a long row has to go where two short ones have died
    beside the hole of another: elsewhere every time.
    """
    layers = 9
    tensors = [RowTensor("samples", SAMPLES, 10, 2)]
    tensors += [RowTensor(f"t{n}", FRAMES, 320, 4) for n in range(1, layers + 1)]
    calls = [Call(0, 0, row, (), (RowRange(0, row, row + 1),)) for row in range(SAMPLES)]
    for frame in range(FRAMES):
        window = RowRange(0, STRIDE * frame, STRIDE * frame + WINDOW)
        calls.append(Call(0, 1, frame, (window,), (RowRange(1, frame, frame + 1),)))
    for layer in range(2, layers + 1):
        for frame in range(FRAMES):
            around = 1 if layer % 2 == 0 else 0  # depthwise, or by points
            read = RowRange(layer - 1, max(frame - around, 0), min(frame + around + 1, FRAMES))
            calls.append(Call(0, layer, frame, (read,), (RowRange(layer, frame, frame + 1),)))
    calls += [Call(0, layers + 1, f, (RowRange(layers, f, f + 1),)) for f in range(FRAMES)]
    problem = RowProblem(tuple(tensors), tuple(calls))
    order = CallGraph(problem, list(operations_of(problem).values())).demand_driven()
    assert order is not None
    return lives_of(RowProblem(problem.tensors, tuple(problem.calls[n] for n in order)))


def test_short_rows_that_wait_among_long_ones() -> None:
    lives = sliding_windows()
    given = (lives.blocks, lives.calls, 2, lives.peak)
    for backwards in (False, True):
        assert place_call_by_call(*given, Budget(60), backwards=backwards) is None
    found = place_from_the_middle(*given, Budget(60))
    assert found is not None and is_legal(lives.blocks, found, lives.peak)


def test_a_spent_budget_ends_the_search() -> None:
    assert place_from_the_middle(MADE, 8, 4, 8 * ROW, Budget(0)) is None
