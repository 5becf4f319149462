"""The order of passes, and what is alive meanwhile."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.grouping import Group
from dero_tvm.planning.column_windows.window_plan import WindowPlan, live_bytes, rows_of
from dero_tvm.planning.rows.lives import lives_of
from dero_tvm.planning.rows.plan import plan_rows
from tests.planning.column_windows.run_groups import GroupRun, Pixels
from tests.planning.column_windows.small_networks import Axis, Read, Sums, networks
from tests.random_cases import cases


@st.composite
def _plans(draw: st.DrawFn) -> tuple[Sums, WindowPlan]:
    """A network with a grouping of all its operations, in cascades."""
    sums = draw(networks())
    network = sums.described
    groups: list[Group] = []
    end = len(sums.operations)
    while end:
        first = last = end - 1
        while first and network.readers[first][-1] <= last and draw(st.integers(0, 2)):
            first -= 1
        rows, columns, _ = sums.shapes[end]
        width, high = columns, 1
        if first < last:
            width, high = draw(st.integers(1, columns)), draw(st.integers(1, min(rows, 3)))
        groups.insert(0, Group(first, last, width, high, keeps_columns=draw(st.booleans())))
        end = first
    cuts = {number for number in range(len(groups)) if draw(st.integers(0, 3)) == 0}
    return sums, WindowPlan(tuple(groups), tuple(sorted({0, *cuts})))


@cases(60)
@given(_plans())
def test_calls_in_order_compute_the_network_from_the_rows_that_they_name(case):
    sums, plan = case
    costs = GroupCosts(sums.described)
    problem = rows_of(costs, plan)
    numbers = {f"t{index}": index for index in range(len(sums.shapes))}
    values = sums.values()
    stored: dict[int, Pixels] = {0: values[0]}
    whole = {op: (shape[0], shape[1]) for op, shape in enumerate(sums.shapes[1:])}
    peak = 0
    for call in problem.calls:
        group = plan.grouping[call.operation]
        strips = {op: whole[op] for op in range(group.first, group.last)}
        outside: dict[int, Pixels] = {}
        for rows in call.reads:
            tensor = numbers[problem.tensors[rows.tensor].name]
            found = stored[tensor]
            outside.setdefault(tensor, {}).update(
                {pixel: v for pixel, v in found.items() if rows.first <= pixel[0] < rows.end}
            )
        result = stored.setdefault(group.last + 1, {})
        GroupRun(sums, group, strips).run(call.row // group.rows, outside, result)
    assert stored[len(sums.operations)] == values[-1]
    plan_of_rows = plan_rows(problem, Budget(0), reorder=False)
    assert plan_of_rows is not None  # and verified
    peak = plan_of_rows.live_bytes
    assert peak == live_bytes(costs, plan) <= plan_of_rows.arena_bytes


def test_a_pass_of_several_rows_keeps_more_rows_between_groups():
    axes = Axis(8, 3, before=1), Axis(8)
    sums = Sums(((8, 8, 1),) * 4, ((Read(0, *axes),), (Read(1, *axes),), (Read(2, *axes),)))
    costs = GroupCosts(sums.described)
    sizes = [
        live_bytes(costs, WindowPlan((Group(0, 1, 8, rows), Group(2, 2, 8, 1)), (0,)))
        for rows in (1, 4)
    ]
    assert sizes == sorted(set(sizes))


def test_windows_take_memory_while_their_group_runs_alone():
    """Two groups of one cascade run in turn, so that the windows of one are there at a time."""
    axes = Axis(6, 3, before=1), Axis(6)
    sums = Sums(((6, 6, 2),) * 5, tuple((Read(i, *axes),) for i in range(4)))
    costs = GroupCosts(sums.described)
    plan = WindowPlan((Group(0, 1, 2, 1), Group(2, 3, 2, 1)), (0,))
    problem = rows_of(costs, plan)
    inside = [n for n, t in enumerate(problem.tensors) if t.name.startswith("inside")]
    sizes = [problem.tensors[number].bytes for number in inside]
    assert sizes == [costs.of(group).inside for group in plan.grouping]
    used = [number for call in problem.calls for number in call.uses]
    assert used != sorted(used) and set(used) == set(inside)
    bare = replace(problem, calls=tuple(replace(call, uses=()) for call in problem.calls))
    both, none = (lives_of(each).live_bytes for each in (problem, bare))
    assert (both - none).tolist() == [problem.tensors[number].bytes for number in used]
