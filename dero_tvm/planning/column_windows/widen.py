"""Wider windows, and fewer groups, where a plan has the memory for them.

A frontier has the narrowest windows, for they need least.  But only one cascade of a plan is at its
peak, and every window is a call of each kernel a row.  So each group is given the widest windows
with which the plan needs no more bytes and no more multiply-accumulates, or is taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .group_cost import GroupCosts
from .grouping import Group, Grouping
from .outer_bytes import OuterBytes
from .window_plan import WindowPlan, live_bytes, live_bytes_of_cascade


def widened(costs: GroupCosts, plan: WindowPlan, room: int = 0) -> WindowPlan:
    """A plan of the same cascades that needs no more memory and no more work, in fewer calls.

    Memory is what the plan needs, or `room` bytes if that is more.
    """
    limit = max(live_bytes(costs, plan), room)
    outer = OuterBytes(costs.network)
    cuts: list[int] = []
    grouping: list[Group] = []
    for cascade in plan.cascades:
        groups = [plan.grouping[number] for number in cascade]
        inside = limit - outer.staying(groups[0].first, groups[-1].last + 1)
        cuts.append(len(grouping))
        grouping += _widened(costs, groups, inside)
    found = WindowPlan(tuple(grouping), tuple(cuts))
    return found if live_bytes(costs, found) <= limit else plan


def _widened(costs: GroupCosts, groups: Sequence[Group], limit: int) -> Grouping:
    """The groups of one cascade, those in the narrowest windows first."""
    found: list[Grouping] = [(group,) for group in groups]
    several = [number for number, group in enumerate(groups) if group.first < group.last]
    for number in sorted(several, key=lambda number: groups[number].width):
        choices = list(_wider(costs, groups[number]))
        low, high = 0, len(choices)  # the first choice that fits is in [low, high]
        while low < high:
            middle = (low + high) // 2
            trial = [*found[:number], choices[middle], *found[number + 1 :]]
            joined = tuple(group for part in trial for group in part)
            if live_bytes_of_cascade(costs, joined) <= limit:
                high = middle
            else:
                low = middle + 1
        if low < len(choices):
            found[number] = choices[low]
    return tuple(group for part in found for group in part)


def _wider(costs: GroupCosts, group: Group) -> Iterator[Grouping]:
    """What a group may become: its operations by themselves, then ever narrower windows."""
    columns = costs.network.tensors[costs.network.operations[group.last].result].columns
    macs = costs.of(group).macs
    apart = [costs.alone(operation) for operation in group.operations]
    if sum(cost.macs for cost in apart) <= macs:  # a group leaves out columns that nothing reads
        yield tuple(cost.group for cost in apart)
    for windows in range(1, columns + 1):
        width = -(-columns // windows)
        if width <= group.width:
            return
        if windows > 1 and width == -(-columns // (windows - 1)):
            continue
        wider = Group(group.first, group.last, width, group.rows, group.keeps_columns)
        if costs.of(wider).macs <= macs:
            yield (wider,)
