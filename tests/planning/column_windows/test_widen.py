"""Wider windows need no more memory and no more work, and are as wide as the memory allows."""

from __future__ import annotations

from hypothesis import given

from dero_tvm.planning.column_windows.frontier import frontier
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.grouping import Group
from dero_tvm.planning.column_windows.widen import widened
from dero_tvm.planning.column_windows.window_plan import WindowPlan, live_bytes, macs_of
from tests.planning.column_windows.small_networks import Axis, Read, Sums, networks
from tests.random_cases import cases


def _two_blocks() -> Sums:
    """Expansion, depthwise convolution and projection: with 24 channels inside, then with 6."""
    shapes = [(16, 12, 2)]
    operations = []
    for channels, kernel in [(24, 1), (24, 3), (2, 1), (6, 1), (6, 3), (2, 1)]:
        axes = [Axis(n, kernel, 1, kernel // 2) for n in shapes[-1][:2]]
        operations.append((Read(len(operations), *axes),))
        shapes.append((axes[0].positions, axes[1].positions, channels))
    return Sums(tuple(shapes), tuple(operations))


def test_what_is_not_at_the_peak_gets_the_widest_windows() -> None:
    costs = GroupCosts(_two_blocks().described)
    narrow = (Group(0, 2, 2, 1), Group(3, 5, 2, 1))
    plan = WindowPlan(narrow, (0, 1))
    wide = widened(costs, plan)
    assert wide.grouping[0] == narrow[0]  # at the peak
    assert [group.operations for group in wide.grouping[1:]] == [range(n, n + 1) for n in (3, 4, 5)]
    assert live_bytes(costs, wide) == live_bytes(costs, plan)
    assert macs_of(costs, wide) < macs_of(costs, plan)


def test_windows_grow_as_far_as_the_peak_lets_them() -> None:
    costs = GroupCosts(_two_blocks().described)
    plan = WindowPlan((Group(0, 2, 4, 1), Group(3, 5, 1, 2)), (0, 1))
    limit = live_bytes(costs, plan)
    last = widened(costs, plan).grouping[-1]
    assert live_bytes(costs, WindowPlan((*plan.grouping[:1], last), (0, 1))) <= limit
    assert last.width > 1


@cases(25)
@given(networks())
def test_never_more_bytes_or_work(sums: Sums) -> None:
    costs = GroupCosts(sums.described)
    for point in frontier(costs):
        wide = widened(costs, point.plan)
        assert wide.cascades and wide.grouping[-1].last == point.plan.grouping[-1].last
        assert live_bytes(costs, wide) <= point.live_bytes
        assert macs_of(costs, wide) <= point.macs


def test_more_room_makes_windows_wider() -> None:
    costs = GroupCosts(_two_blocks().described)
    plan = WindowPlan((Group(0, 2, 2, 1), Group(3, 5, 2, 1)), (0, 1))
    rooms = [live_bytes(costs, plan) + more for more in (0, 200, 10_000)]
    found = [widened(costs, plan, room) for room in rooms]
    for room, wide in zip(rooms, found):
        assert live_bytes(costs, wide) <= room
    widths = [wide.grouping[0].width for wide in found]
    assert widths[0] == 2 < widths[1]
    assert [len(wide.grouping) for wide in found] == [4, 4, 6]
