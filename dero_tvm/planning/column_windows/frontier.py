"""The best groupings found of a network: bytes against work.

Work is counted in multiply-accumulates; a call of a kernel takes as long as some.

Dynamic programming over all ways to cut the operations into cascades and those into groups, with
several widths and heights of the windows.  From the driver of a cascade backwards, a group adds

    rows    of its result that stay, all but one, for the groups that read it
    active  bytes while it runs: a pass of its result, its windows, a row of its operand
    work    with what windows and passes make twice, and with all calls

and a cascade takes ``outer + sum of rows + largest active`` bytes.  That is an estimate: rings do
not peak together, and rows are alive as long as the order of calls has it.  So the cascades of the
plans that it finds best are measured, and plans are looked for again with what was measured in
place of the estimates, until none of the best has an estimate in it.  What nothing else beats then
is the frontier.

The work is bounded by the numbers below and not by a clock: the same network has the same
frontier everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .group_cost import GroupCost, GroupCosts
from .grouping import Group
from .network import WindowNetwork
from .outer_bytes import OuterBytes, rows_alive
from .pareto import pareto
from .window_plan import WindowPlan, live_bytes, live_bytes_of_cascade, macs_of, work_of

_ROWS = (1, 2, 3, 4, 6, 8)  # of a pass
_WINDOWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # in a row
_LONGEST_GROUP = 12  # operations
_LONGEST_CASCADE = 48
_GROUPS = 40_000  # that are looked at in all; in long networks they are shorter
_SAME_RANGE = 12  # groups of the same operations that are kept
_INNER = 40  # ways to run the end of a cascade that are kept
_CASCADES = 24  # ways to run a cascade that are kept
_PREFIXES = 160  # ways to run the beginning of a network that are kept
_POINTS = 80  # of the frontier
_ROUNDS = 12  # of looking for plans and measuring them

_Chain = tuple[tuple[int, int, int], ...]
"""Cascades: where each begins and ends, and the number of the way to run it."""


@dataclass(frozen=True)
class WindowPoint:
    """One plan: `live_bytes` at once, multiply-accumulates of an inference, and work with calls."""

    plan: WindowPlan
    live_bytes: int
    macs: int
    work: int


def frontier(costs: GroupCosts) -> tuple[WindowPoint, ...]:
    """Plans that no other one found beats in bytes and work, the least work first."""
    search = _Search(costs)
    for _ in range(_ROUNDS):
        plans = list(search.plans())
        if not search.measure(plans):
            break
    points = [
        WindowPoint(plan, live_bytes(costs, plan), macs_of(costs, plan), work_of(costs, plan))
        for plan in dict.fromkeys(search.plan(cascades) for cascades in plans)
    ]
    sizes = np.array([point.live_bytes for point in points])
    work = np.array([point.work for point in points])
    return tuple(points[index] for index in pareto(sizes, work, len(points)))


@dataclass(frozen=True)
class _Range:
    """The groups of operations ``[first, last]`` that are worth looking at, as arrays."""

    costs: tuple[GroupCost, ...]
    work: np.ndarray
    inside: np.ndarray
    output: np.ndarray  # bytes of one pass of the result
    state: int
    operand: np.ndarray  # bytes that a pass needs of the result of the operation before
    reads: frozenset[int]


@dataclass
class _Ways:
    """Ways to run operations from a position to a cascade's end; one entry each.

    `pending` bytes are needed of the result of the operation before.  `behind` is where the first
    group of each way ends, `way` the number of the way there, `group` that of the group.
    """

    rows: np.ndarray
    active: np.ndarray
    work: np.ndarray
    pending: np.ndarray
    behind: np.ndarray
    way: np.ndarray
    group: np.ndarray

    @staticmethod
    def joined(parts: Sequence[_Ways]) -> _Ways:
        names = _Ways.__dataclass_fields__
        return _Ways(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def best(self) -> _Ways:
        kept = pareto(self.rows + self.pending + self.active, self.work, _INNER)
        return _Ways(*(getattr(self, name)[kept] for name in _Ways.__dataclass_fields__))


def _start() -> _Ways:
    return _Ways(*(np.zeros(1, np.int64) for _ in range(7)))


class _Search:
    def __init__(self, costs: GroupCosts) -> None:
        self.costs = costs
        self.network: WindowNetwork = costs.network
        self.count = len(self.network.operations)
        self.outer = OuterBytes(self.network)
        self.alive = rows_alive(costs)
        self.longest = max(1, min(_LONGEST_GROUP, _GROUPS // (self.count * len(_ROWS) * 8)))
        self.ranges = self._ranges()
        self.cascades = [{}, *(self._ending_with(end) for end in range(1, self.count + 1))]

    def plans(self) -> Iterator[_Chain]:
        """Plans of which none beats another, by what is known of the cascades."""
        size = [np.zeros(1, np.int64)]
        work = [np.zeros(1, np.int64)]
        origin = [np.zeros((1, 3), np.int64)]  # where the last cascade begins, way there, cascade
        for end in range(1, self.count + 1):
            sizes, works, origins = [], [], []
            for begin, found in self.cascades[end].items():
                both = np.maximum(size[begin][:, None], found.size[None, :]).ravel()
                number, cascade = np.divmod(np.arange(len(both)), len(found.size))
                sizes.append(both)
                works.append((work[begin][:, None] + found.work[None, :]).ravel())
                origins.append(np.stack([np.full_like(number, begin), number, cascade], 1))
            empty = np.zeros(0, np.int64)
            all_sizes = np.concatenate([empty, *sizes])
            all_work = np.concatenate([empty, *works])
            kept = pareto(all_sizes, all_work, _PREFIXES)
            size.append(all_sizes[kept])
            work.append(all_work[kept])
            origin.append(np.concatenate([np.zeros((0, 3), np.int64), *origins])[kept])
        for number in pareto(size[-1], work[-1], _POINTS).tolist():
            chain = []
            end = self.count
            while end:
                begin, number, cascade = origin[end][number].tolist()
                chain.append((begin, end, cascade))
                end = begin
            yield tuple(reversed(chain))

    def measure(self, plans: Sequence[_Chain]) -> bool:
        """Measure the cascades of some plans; False if all have been."""
        found = False
        for begin, end, number in dict.fromkeys(cascade for plan in plans for cascade in plan):
            cascades = self.cascades[end][begin]
            if not cascades.measured[number]:
                groups = tuple(cost.group for cost in cascades.groups(number))
                inside = live_bytes_of_cascade(self.costs, groups)
                cascades.size[number] = self.outer.staying(begin, end) + inside
                cascades.measured[number] = found = True
        return found

    def plan(self, chain: _Chain) -> WindowPlan:
        """The plan that consists of some cascades."""
        cuts: list[int] = []
        grouping: list[Group] = []
        for begin, end, number in chain:
            cuts.append(len(grouping))
            grouping += [cost.group for cost in self.cascades[end][begin].groups(number)]
        return WindowPlan(tuple(grouping), tuple(cuts))

    # --- groups ------------------------------------------------------------------------------

    def _ranges(self) -> dict[tuple[int, int], _Range]:
        """Groups by the position where they begin and the one where they end."""
        found: dict[tuple[int, int], list[GroupCost]] = {}
        for last in range(self.count):
            found[last, last + 1] = [self.costs.alone(last)]
            operation = self.network.operations[last]
            taken = operation.operands[0].tensor if operation.state else operation.result
            result = self.network.tensors[taken]
            rows = [r for r in _ROWS if r <= result.rows]
            widths = sorted({-(-result.columns // n) for n in _WINDOWS})
            earliest = max(0, last + 1 - self.longest)
            for first, cost in self.costs.ending_with(last, widths, rows, earliest):
                if first < last:
                    found.setdefault((first, last + 1), []).append(cost)
        return {key: self._range(key, costs) for key, costs in found.items()}

    def _range(self, key: tuple[int, int], costs: list[GroupCost]) -> _Range:
        first, end = key
        tensors = self.network.tensors
        row = tensors[self.network.operations[end - 1].result].row_bytes
        before = self.network.operations[first - 1].result if first else -1

        work = np.array([cost.work for cost in costs])
        inside = np.array([cost.inside for cost in costs])
        output = np.array([row if cost.state else cost.group.rows * row for cost in costs])
        operand = np.array([cost.rows_read.get(before, 0) for cost in costs])
        operand *= tensors[before].row_bytes
        # Of tensors around a cascade that lie whole, passes of many rows take no more, or a part.
        outside = output + operand
        sizes = (inside + outside, 2 * inside + outside, inside)
        kept = np.unique([index for size in sizes for index in pareto(size, work, _SAME_RANGE)])
        best = tuple(costs[index] for index in kept.tolist())
        reads = frozenset(best[0].reads)
        return _Range(
            best, work[kept], inside[kept], output[kept], best[0].state, operand[kept], reads
        )

    # --- cascades ----------------------------------------------------------------------------

    def _ending_with(self, end: int) -> dict[int, _Cascades]:
        """The ways to run a cascade that ends before an operation, by its beginning."""
        driver = self.network.operations[end - 1]
        earliest = max(0, end - _LONGEST_CASCADE)
        parts: dict[int, list[_Ways]] = {end: [_start()]}
        ways: dict[int, _Ways] = {}
        found: dict[int, _Cascades] = {}
        for position in range(end, earliest, -1):
            if position not in parts:
                continue
            ways[position] = _Ways.joined(parts.pop(position)).best()
            for begin in range(position - 1, max(earliest, position - self.longest) - 1, -1):
                groups = self.ranges.get((begin, position))
                if groups is None:
                    break
                first = self.network.operations[begin]
                if (first.alone or driver.alone) and (begin, position) != (end - 1, end):
                    break
                new = self._with_group(ways[position], groups, begin, position, end)
                if self.outer.may_cut(begin):
                    closed = self._closed(new, groups, begin, end)
                    found.setdefault(begin, _Cascades(self, ways, end)).add(closed, new, groups)
                if begin > earliest and not driver.alone:
                    parts.setdefault(begin, []).append(new)
        for begin, cascade in found.items():
            cascade.finish(begin)
        return found

    def _with_group(
        self, ways: _Ways, groups: _Range, begin: int, position: int, end: int
    ) -> _Ways:
        """All of `ways` with each of the groups before them."""
        network = self.network
        result = network.operations[position - 1].result
        row = network.tensors[result].row_bytes
        rows = ways.rows
        output = groups.output
        if position < end:
            stays = np.maximum(ways.pending - row, 0)
            if self.outer.read[result] >= end:
                stays = np.full_like(stays, network.tensors[result].bytes)
            rows = rows + stays + groups.state
        else:
            rows = rows + groups.state
            output = output * 0
        before = network.operations[begin - 1].result if begin else -1
        one_row = network.tensors[before].row_bytes if before in groups.reads else 0
        active = groups.inside + output + one_row
        pending = groups.operand
        later = before >= 0 and (
            before not in groups.reads or any(op >= position for op in network.readers[before])
        )
        if later:
            pending = np.maximum(pending, self.alive[before] * network.tensors[before].row_bytes)
        shape = (len(ways.work), len(groups.work))
        number, group = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        return _Ways(
            np.repeat(rows, shape[1]),
            np.maximum(ways.active[:, None], active[None, :]).ravel(),
            (ways.work[:, None] + groups.work[None, :]).ravel(),
            np.tile(pending, shape[0]),
            np.full(len(number), position),
            number,
            group,
        )

    def _closed(self, ways: _Ways, groups: _Range, begin: int, end: int) -> np.ndarray:
        """Bytes of the cascade that begins with each way's first group."""
        network = self.network
        output = network.tensors[network.operations[end - 1].result]
        dying = self.outer.dying(begin, end)
        full = self.outer.staying(begin, end)
        span = np.maximum(dying + output.row_bytes, output.bytes + ways.pending)
        return full + span + ways.rows + ways.active


class _Cascades:
    """Ways to run one cascade."""

    def __init__(self, search: _Search, ways: dict[int, _Ways], end: int) -> None:
        self._search, self._ways, self._end = search, ways, end
        self._parts: list[tuple[np.ndarray, _Ways]] = []

    def add(self, size: np.ndarray, ways: _Ways, groups: _Range) -> None:
        kept = pareto(size, ways.work, _CASCADES)
        names = _Ways.__dataclass_fields__
        self._parts.append((size[kept], _Ways(*(getattr(ways, name)[kept] for name in names))))

    def finish(self, begin: int) -> None:
        """Keep the best."""
        self._begin = begin
        size = np.concatenate([part[0] for part in self._parts])
        ways = _Ways.joined([part[1] for part in self._parts])
        kept = pareto(size, ways.work, _CASCADES)
        self.size, self.work = size[kept], ways.work[kept]
        self.measured = np.zeros(len(kept), bool)
        self._first = [ways.behind[kept], ways.way[kept], ways.group[kept]]
        self._parts.clear()

    def groups(self, number: int) -> list[GroupCost]:
        """The groups of one way, in order."""
        begin = self._begin
        behind, way, group = (int(part[number]) for part in self._first)
        found = [self._search.ranges[begin, behind].costs[group]]
        while behind < self._end:
            begin, ways = behind, self._ways[behind]
            behind, way, group = (int(p[way]) for p in (ways.behind, ways.way, ways.group))
            found.append(self._search.ranges[begin, behind].costs[group])
        return found
