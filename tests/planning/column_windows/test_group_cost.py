"""What a group is said to cost, against running it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning.column_windows.axis_walk import AxisWalk
from dero_tvm.planning.column_windows.group_cost import GroupCosts
from dero_tvm.planning.column_windows.grouping import Group
from dero_tvm.planning.column_windows.strip_heights import strip_heights
from tests.planning.column_windows.run_groups import GroupRun, Pixels
from tests.planning.column_windows.small_networks import Axis, Read, Sums, networks
from tests.random_cases import cases


@st.composite
def _groups(draw: st.DrawFn) -> tuple[Sums, Group]:
    """A network and a group that its operations can be."""
    sums = draw(networks())
    network = sums.described
    last = draw(st.integers(0, len(sums.operations) - 1))
    first = last
    while first and network.readers[first][-1] <= last and draw(st.integers(0, 3)):
        first -= 1
    rows, columns, _ = sums.shapes[last + 1]
    width, high = draw(st.integers(1, columns)), draw(st.integers(1, rows))
    return sums, Group(first, last, width, high, keeps_columns=draw(st.booleans()))


def _run(sums: Sums, group: Group) -> tuple[GroupRun, list[dict[int, set[int]]], Pixels]:
    network = sums.described
    down = AxisWalk(network, group.last, group.rows, rows=True)
    across = AxisWalk(network, group.last, group.width, rows=False, keep=group.keeps_columns)
    for _ in range(group.first, group.last):
        down.extend()
        across.extend()
    heights = strip_heights(network, down, group.last)
    strips = {
        op: (down.longest(op + 1) if across.keeps(op) else heights[op], across.longest(op + 1))
        for op in range(group.first, group.last)
    }
    run = GroupRun(sums, group, strips)
    values = sums.values()
    outside = {t: values[t] for t in range(group.first + 1)}
    result: Pixels = {}
    passes = -(-sums.shapes[group.last + 1][0] // group.rows)
    return run, [run.run(number, outside, result) for number in range(passes)], result


@cases(150)
@given(_groups())
def test_a_group_computes_what_its_operations_do_in_the_strips_that_are_counted(case):
    sums, group = case
    cost = GroupCosts(sums.described).of(group)
    run, reads, result = _run(sums, group)
    assert result == sums.values()[group.last + 1]
    assert run.macs == cost.macs
    for number, read in enumerate(reads):
        for tensor, rows in read.items():
            begin, end = (int(edges[number]) for edges in cost.reads[tensor])
            assert not rows or begin == min(rows) and end > max(rows)
    if group.first < group.last and not any(r.in_place for op in sums.operations for r in op):
        sizes = [
            -(-strip.height * strip.width * sums.shapes[op + 1][2] // 4) * 4
            for op, strip in run.strips.items()
        ]
        assert cost.inside == sum(sizes)


def _chain(kernel: int, width: int = 12) -> Sums:
    """Two convolutions of one row, of `kernel` columns each."""
    axes = Axis(1), Axis(width, kernel, before=kernel // 2)
    shapes = ((1, width, 1), (1, width, 4), (1, width, 1))
    return Sums(shapes, ((Read(0, *axes),), (Read(1, *axes),)))


def test_windows_make_their_edges_twice_unless_columns_are_kept():
    sums = _chain(3)
    costs = GroupCosts(sums.described)
    again = costs.of(Group(0, 1, 4, 1))
    kept = costs.of(Group(0, 1, 4, 1, keeps_columns=True))
    assert kept.macs == sums.described.macs == 72
    assert again.macs == 72 + 3 * 4  # two columns at each of two edges
    assert again.inside == kept.inside == 6 * 4


def test_a_strip_is_as_high_as_a_row_of_its_reader_needs():
    """However many rows a pass has: it goes row by row."""
    axes = Axis(12, 3, before=1), Axis(12)
    sums = Sums(((12, 12, 1),) * 3, ((Read(0, *axes),), (Read(1, *axes),)))
    costs = GroupCosts(sums.described)
    assert costs.of(Group(0, 1, 12, 1)).inside == costs.of(Group(0, 1, 12, 6)).inside == 3 * 12


def test_a_result_that_is_read_behind_the_group_makes_it_impossible():
    axes = Axis(4), Axis(4)
    reads = (Read(0, *axes),), (Read(1, *axes),), (Read(2, *axes), Read(1, *axes))
    costs = GroupCosts(Sums(((4, 4, 1),) * 4, reads).described)
    with pytest.raises(ValueError, match="operations 0 to 1 cannot be one group"):
        costs.of(Group(0, 1, 2, 1))
    costs.of(Group(0, 2, 2, 1))
