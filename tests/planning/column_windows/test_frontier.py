"""The frontier against all ways to group a small network."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given

from dero_tvm.planning.column_windows.frontier import frontier
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.grouping import Group, Grouping
from dero_tvm.planning.column_windows.window_plan import WindowPlan, live_bytes, macs_of, work_of
from tests.planning.column_windows.small_networks import Axis, Read, Sums, networks
from tests.random_cases import cases


def _all_plans(sums: Sums, kinds: tuple[bool, ...]) -> Iterator[WindowPlan]:
    """Every plan with passes of 1 or 2 rows, and windows of a half, a quarter, or a whole row."""
    count = len(sums.operations)

    def groupings(first: int) -> Iterator[Grouping]:
        if first == count:
            yield ()
            return
        for last in range(first, count):
            rows, columns, _ = sums.shapes[last + 1]
            shapes = [(columns, 1, False)]
            if last > first:
                readers = sums.described.readers
                if any(readers[t][-1] > last for t in range(first + 1, last + 1)):
                    continue
                widths = {columns, -(-columns // 2), -(-columns // 4)}
                shapes = list(product(sorted(widths), {1, min(2, rows)}, kinds))
            for width, high, keep in shapes:
                for rest in groupings(last + 1):
                    yield (Group(first, last, width, high, keep), *rest)

    for grouping in groupings(0):
        for cut in product((False, True), repeat=len(grouping) - 1):
            yield WindowPlan(grouping, (0, *(i + 1 for i, c in enumerate(cut) if c)))


def _network(width: int = 12) -> Sums:
    """An expansion, a depthwise convolution and a projection, twice, with strides."""
    shapes = [(16, width, 2)]
    operations = []
    for channels, kernel, stride in [(12, 1, 1), (12, 3, 1), (3, 1, 1), (18, 1, 1), (18, 3, 2)]:
        axes = [Axis(n, kernel, stride, kernel // 2) for n in shapes[-1][:2]]
        operations.append((Read(len(operations), *axes),))
        shapes.append((axes[0].positions, axes[1].positions, channels))
    return Sums(tuple(shapes), tuple(operations))


@pytest.mark.parametrize("keep", [False, True])
def test_the_frontier_is_that_of_all_plans(keep):
    sums = _network()
    costs = GroupCosts(sums.described, keep_columns=keep)
    every = [
        (live_bytes(costs, plan), work_of(costs, plan)) for plan in _all_plans(sums, (False, keep))
    ]
    points = frontier(costs)
    for size, work in every:
        assert any(p.live_bytes <= size * 1.02 and p.work <= work for p in points), (size, work)


@cases(25)
@given(networks())
def test_less_memory_costs_more_and_nothing_is_made_twice_without_need(sums):
    costs = GroupCosts(sums.described)
    points = frontier(costs)
    assert points[0].macs <= sums.described.macs  # columns that nobody needs are not made
    sizes = [point.live_bytes for point in points]
    work = [point.work for point in points]
    assert sizes == sorted(set(sizes), reverse=True)
    assert work == sorted(set(work))
    for point in points:
        assert point.live_bytes == live_bytes(costs, point.plan)
        assert point.macs == macs_of(costs, point.plan)
        assert point.work == work_of(costs, point.plan)
        made = [op for group in point.plan.grouping for op in group.operations]
        assert made == list(range(len(sums.operations)))
