"""Orders of rows: against all orders of small networks, and what the check refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.planning_error import PlanError
from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows import order_search
from dero_tvm.planning.rows.call_graph import CallGraph
from dero_tvm.planning.rows.lives import lives_of
from dero_tvm.planning.rows.order import good_orders, other_orders
from dero_tvm.planning.rows.order_search import OrderSearch
from dero_tvm.planning.rows.plan import plan_rows
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor
from dero_tvm.planning.rows.verify import verify_order

MOST_CALLS = 9


@st.composite
def problems(draw: st.DrawFn) -> RowProblem:
    """A few operations of a few rows that read windows of one or two earlier tensors."""
    tensors: list[RowTensor] = []
    calls: list[Call] = []
    if draw(st.booleans()):
        size = draw(st.integers(1, 9))
        tensors.append(RowTensor("in", 3, size, kind=BufferKind.INPUT, in_sequence=True))
    operations = draw(st.integers(2, 4))
    for operation in range(operations):
        number, made = len(tensors), draw(st.integers(1, 3))
        if len(calls) + made > MOST_CALLS:
            break
        operands = (
            draw(st.lists(st.sampled_from(range(number)), max_size=2, unique=True))
            if number
            else []
        )
        last = operation == operations - 1
        kind = BufferKind.OUTPUT if last else BufferKind.INTERMEDIATE
        like = operands[0] if operands and draw(st.booleans()) else None
        size = draw(st.integers(1, 9)) if like is None else tensors[like].row_bytes
        tensors.append(RowTensor(f"t{number}", made, size, kind=kind, in_sequence=last))
        descending = bool(operands) and draw(st.booleans())  # rows that arrive ascend
        for row in reversed(range(made)) if descending else range(made):
            reads, in_place = [], []
            for operand in operands:
                rows = tensors[operand].rows
                first = min(row * draw(st.integers(1, 2)), rows - 1)
                end = min(first + draw(st.integers(1, 2)), rows)
                reads.append(RowRange(operand, first, end))
                if operand == like and not last:
                    in_place.append(RowRange(operand, first, first + 1))
            written = RowRange(number, row, row + 1)
            calls.append(Call(operation, 0, row, tuple(reads), (written,), (), tuple(in_place)))
    read = {(r.tensor, row) for c in calls for r in c.reads for row in range(r.first, r.end)}
    inputs = [(0, row) for row in range(3) if tensors[0].kind is BufferKind.INPUT]
    assume(read.issuperset(inputs))
    return RowProblem(tuple(tensors), tuple(calls))


def all_orders(problem: RowProblem) -> Iterator[RowProblem]:
    """Every order with the rows as given, and every one with all of them ascending."""
    sequences: dict[int, list[Call]] = {}
    for call in problem.calls:
        sequences.setdefault(call.step, []).append(call)
    ascending = {step: sorted(s, key=lambda call: call.row) for step, s in sequences.items()}
    made = {(w.tensor, w.first) for call in problem.calls for w in call.writes}

    def merged(rest: tuple[tuple[Call, ...], ...], done: list[Call], there: set) -> Iterator:
        if not any(rest):
            yield replace(problem, calls=tuple(done))
        for index, calls in enumerate(rest):
            reads = {
                (r.tensor, i) for c in calls[:1] for r in c.reads for i in range(r.first, r.end)
            }
            if calls and reads & made <= there:
                wrote = {(w.tensor, w.first) for w in calls[0].writes}
                others = (*rest[:index], calls[1:], *rest[index + 1 :])
                yield from merged(others, [*done, calls[0]], there | wrote)

    for each in (sequences, ascending):
        yield from merged(tuple(map(tuple, each.values())), [], set())


@settings(max_examples=60, deadline=None)
@given(problems())
def test_no_order_of_a_small_network_needs_less(problem: RowProblem) -> None:
    least = min(lives_of(ordered).peak for ordered in all_orders(problem))
    own = lives_of(problem).peak
    found = good_orders(problem, Budget(20.0))
    for ordered in found:
        verify_order(problem, ordered)
        assert lives_of(ordered).peak < own
    assert min([own, *(lives_of(ordered).peak for ordered in found)]) == least
    others = other_orders(problem, least, Budget(20.0))
    assert others
    for ordered in others:
        verify_order(problem, ordered)
        assert lives_of(ordered).peak == least


@settings(max_examples=60, deadline=None)
@given(problems())
def test_the_plan_is_no_larger_than_that_of_the_demand_driven_order(problem: RowProblem) -> None:
    plan = plan_rows(problem, Budget(20.0))
    assert plan is not None
    assert plan.live_bytes <= plan.arena_bytes
    steps = [step for run in plan.runs for step in range(run.first, run.end)]
    assert steps == sorted({call.step for call in problem.calls})
    listed = [call for run in plan.runs for call in run.calls]
    if plan.problem.calls == problem.calls:
        assert not listed
    else:
        in_lists = {call.step for call in listed}
        assert listed == [call for call in plan.problem.calls if call.step in in_lists]


def chain() -> RowProblem:
    """Two operations of two rows, and one that adds the rows of the second up."""
    tensors = tuple(RowTensor(name, rows, 1) for name, rows in (("a", 2), ("b", 2), ("sum", 1)))
    total = RowRange(2, 0, 1)
    a, b = ([RowRange(number, row, row + 1) for row in range(2)] for number in range(2))
    return RowProblem(
        tensors,
        (
            *(Call(0, 0, row, (), (a[row],)) for row in range(2)),
            *(Call(0, 1, row, (a[row],), (b[row],)) for row in range(2)),
            Call(0, 2, 0, (b[0],), (total,)),
            Call(0, 2, 1, (b[1], total), (total,)),
        ),
    )


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((0, 2, 1, 3, 4, 5), None),
        ((1, 3, 0, 2, 4, 5), None),  # backwards, where no row needs another
        ((0, 1, 2, 3, 4), "every call once"),
        ((0, 1, 2, 3, 4, 4), "every call once"),
        ((0, 2, 3, 1, 4, 5), "step 0, operation 1, row 1 reads what other calls"),
        ((0, 1, 2, 3, 5, 4), "step 0, operation 2, row . reads what other calls"),
    ],
)
def test_orders_that_compute_something_else_are_refused(
    order: tuple[int, ...], message: str | None
) -> None:
    problem = chain()
    ordered = replace(problem, calls=tuple(problem.calls[number] for number in order))
    expected = pytest.raises(PlanError, match=message) if message else nullcontext()
    with expected:
        verify_order(problem, ordered)


def test_an_operation_takes_its_rows_in_turn() -> None:
    """A loop counts its rows up or down."""
    rows = [RowRange(0, row, row + 1) for row in range(3)]
    calls = tuple(Call(0, 0, row, (), (rows[row],)) for row in range(3))
    problem = RowProblem((RowTensor("a", 3, 1),), calls)
    with pytest.raises(PlanError, match="not in turn"):
        verify_order(problem, replace(problem, calls=(calls[1], calls[0], calls[2])))


def side_by_side(branches: int, rows: int = 4) -> RowProblem:
    """An image that many operations read, none of which waits for another, and their sum."""
    tensors = [RowTensor("image", rows, 8, kind=BufferKind.INPUT, in_sequence=True)]
    tensors += [RowTensor(f"t{number}", rows, 4) for number in range(branches)]
    tensors += [RowTensor("sum", rows, 4, kind=BufferKind.OUTPUT, in_sequence=True)]
    calls = [
        Call(0, number, row, (RowRange(0, row, row + 1),), (RowRange(1 + number, row, row + 1),))
        for row in range(rows)
        for number in range(branches)
    ]
    for row in range(rows):
        reads = tuple(RowRange(1 + number, row, row + 1) for number in range(branches))
        calls.append(Call(1, 0, row, reads, (RowRange(1 + branches, row, row + 1),)))
    return RowProblem(tuple(tensors), tuple(calls))


@pytest.mark.parametrize("branches", [50, 400])
def test_the_search_for_an_order_ends_after_a_number_of_steps(
    branches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many operations could come next, and however many read one row."""
    made: list[OrderSearch] = []
    original = order_search.OrderSearch.__init__

    def counted(search: OrderSearch, graph: CallGraph) -> None:
        original(search, graph)
        made.append(search)
        conditions = sum(len(turn.deaths) + len(turn.births) for t in graph.turns for turn in t)
        assert conditions <= 2 * len(graph.problem.calls)

    monkeypatch.setattr(order_search.OrderSearch, "__init__", counted)
    good_orders(side_by_side(branches), Budget(20.0))
    assert made
    assert all(search.steps < 1_500_000 for search in made)
