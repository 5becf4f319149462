"""Plans that make some things twice to need less memory: those that no other one found beats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TypeVar

import numpy as np

from relax_passes.streaming.first_columns import first_columns
from relax_passes.streaming.make_again import Again

from ..aot.kernels import makes_windows, takes_table
from ..planning.column_windows.frontier import frontier
from ..planning.column_windows.group_cost import GroupCosts
from ..planning.column_windows.grouping import Grouping
from ..planning.column_windows.long_skips import LongSkip, skips_at_peak
from ..planning.column_windows.network import WindowNetwork
from ..planning.column_windows.pareto import pareto
from ..planning.column_windows.widen import widened
from ..planning.column_windows.window_plan import WindowPlan, rows_of
from ..planning.rows.plan import RowPlan
from ..planning.rows.problem import Call
from ..schedule.network import Network
from ..schedule.recut import recut
from ..schedule.to_column_windows import NoWindows, to_column_windows
from .network_planner import NetworkPlanner
from .row_planner import exceeds_row_placement

_MOST_SKIPS = 3  # that are made again at once
_PARTS = (Fraction(1, 2), Fraction(3, 4))  # of their columns, which may be made again alone
_GAP = 32  # of the bytes alive, rows may leave one in so many between them in wide windows
_MOST_AGAIN = 2  # of a network's multiply-accumulates, long skips make again one in so many

Made = TypeVar("Made")
Make = Callable[[Network, Grouping, int | None, tuple[Again, ...]], Made | None]
"""Plans a network with groups and copies, below so many bytes; None if it cannot."""
Streamed = Callable[[tuple[Again, ...]], Network | None]
"""The streamed network with some tensors made again; None if it is not one for rows."""


@dataclass(frozen=True, eq=False)
class Way:
    """A streamed network; `again` says which of its tensors are made a second time."""

    network: Network  # whose operations groupings number
    described: WindowNetwork
    again: tuple[Again, ...]


@dataclass(frozen=True, eq=False)
class PointOfWay:
    """One plan; a `RowPlan` has no groups, and the cascades of its way's network."""

    way: Way
    plan: WindowPlan | RowPlan
    live_bytes: int
    macs: int
    work: int  # with the calls of kernels, in multiply-accumulates


@dataclass(frozen=True, eq=False)
class WindowPlans:
    """The frontier of one network, the least work first.

    Bytes are those alive at once; where the rows then lie may take a few more.
    """

    macs: int  # with nothing made twice
    points: tuple[PointOfWay, ...]

    def ratio(self, point: PointOfWay) -> float:
        """Multiply-accumulates as a multiple of those with nothing made twice."""
        return point.macs / max(self.macs, 1)

    def made(self, point: PointOfWay, make: Make[Made], below: int | None = None) -> Made | None:
        """What `make` gives for a point: in wide windows, or where that takes more, as it is."""
        *wide, plan = self.variants(point, below)
        room = point.live_bytes + _gap(point.live_bytes) if below is None else below
        for variant, most in (*((variant, room) for variant in wide), (plan, below)):
            cut, windows = self.recut(point.way, variant), self.windows(variant)
            made = make(cut, windows, most, point.way.again)
            if made is not None:
                return made
        return None

    @staticmethod
    def variants(point: PointOfWay, below: int | None = None) -> tuple[WindowPlan | RowPlan, ...]:
        """Plans of no more multiply-accumulates within some bytes, that in the fewest calls first.

        Then come those that need no more than the point itself, which is the last.
        """
        if isinstance(point.plan, RowPlan):
            return (point.plan,)
        costs = GroupCosts(point.way.described)
        rooms = [0] if below is None else [below - _gap(below), 0]
        wide = [widened(costs, point.plan, room) for room in rooms]
        return tuple(dict.fromkeys((*wide, point.plan)))

    @staticmethod
    def recut(way: Way, plan: WindowPlan | RowPlan) -> Network:
        """The network of a way in the cascades of a plan."""
        if isinstance(plan, RowPlan):
            return way.network
        return recut(way.network, [plan.grouping[group].first for group in plan.cuts])

    @staticmethod
    def windows(plan: WindowPlan | RowPlan) -> Grouping:
        """The groups of a plan that have several operations."""
        grouping = plan.grouping if isinstance(plan, WindowPlan) else ()
        return tuple(group for group in grouping if group.first < group.last)

    def within(self, max_recompute: float | None) -> tuple[PointOfWay, ...]:
        """The points up to a ratio: those with nothing made twice are always among them."""
        most = float("inf") if max_recompute is None else max_recompute
        return tuple(p for p in self.points if self.ratio(p) <= max(most, 1.0)) or self.points[:1]

    @cached_property
    def least(self) -> PointOfWay:
        """The one that needs the least memory."""
        return self.points[-1]

    def ratio_within(self, budget: int) -> float | None:
        """The least ratio with which `budget` bytes do; None if nothing does."""
        fitting = (point for point in self.points if point.live_bytes <= budget)
        return min(map(self.ratio, fitting), default=None)


def _gap(size: int) -> int:
    """Bytes that rows may leave between them where so many are alive."""
    return size // _GAP


def window_plans(planner: NetworkPlanner, streamed: Streamed) -> WindowPlans | None:
    """The frontier of a network; None if it has none.

    `streamed` gives it with what the core's kernels need in it, as `NetworkPlanner.schedule` does.
    Tensors that wait at the peak of the least plan found are made again, one after the other, as
    long as that leads to less; the last one also in part.
    """
    points: list[PointOfWay] = []
    again: tuple[Again, ...] = ()
    parts: list[Again] = []  # of the last one
    macs = 0
    while len(again) <= _MOST_SKIPS:
        way = _way(planner, streamed, again)
        if way is None:
            break
        macs = macs or way.described.macs
        found = _points(planner, way)
        if not found or points and found[-1].live_bytes >= min(p.live_bytes for p in points):
            break
        points += found
        for part in parts:
            in_part = _way(planner, streamed, (*again[:-1], part))
            points += _points(planner, in_part) if in_part is not None else ()
        skip = next(_skips(found[-1], macs + macs // _MOST_AGAIN), None)
        if skip is None:
            break
        again = (*again, _named(way, skip))
        parts = list(_parts(way, skip))
    best = _best(points)
    return WindowPlans(macs, best) if best else None


def _way(planner: NetworkPlanner, streamed: Streamed, again: tuple[Again, ...]) -> Way | None:
    network = streamed(again)
    if network is None or exceeds_row_placement(network):
        return None
    options = planner.options
    try:
        described = to_column_windows(
            network,
            takes_table=takes_table,
            makes_windows=makes_windows,
            keep_inputs=options.keep_inputs,
            external_io=options.external_io,
        )
    except NoWindows:
        return None
    return Way(network, described, again)


def _points(planner: NetworkPlanner, way: Way) -> tuple[PointOfWay, ...]:
    """The frontier of a way, with the plan without groups for which an order of rows is looked for.

    The bytes of that plan are those of its arena.
    """
    costs = GroupCosts(way.described)
    found = [
        PointOfWay(way, point.plan, point.live_bytes, point.macs, point.work)
        for point in frontier(costs)
    ]
    plan = planner.plan_row_placement(planner.schedule_in_windows(way.network, ()))
    if plan is not None:
        assert plan.rows is not None
        work = sum(costs.alone(number).work for number in range(len(way.described.operations)))
        found.append(PointOfWay(way, plan.rows, plan.total_bytes, way.described.macs, work))
    return _best(found)


def _best(points: Sequence[PointOfWay]) -> tuple[PointOfWay, ...]:
    """Those that no other one beats, the least work first."""
    size = np.array([point.live_bytes for point in points], np.int64)
    work = np.array([point.work for point in points], np.int64)
    return tuple(points[index] for index in pareto(size, work, len(points)))


def _skips(point: PointOfWay, most_macs: int) -> Iterator[LongSkip]:
    """Long skips in a plan, but for what is a copy itself; `most_macs` are those of all."""
    way = point.way
    room = most_macs - way.described.macs
    operations = way.network.operations
    if isinstance(point.plan, WindowPlan):
        grouping = point.plan.grouping
        problem = rows_of(GroupCosts(way.described), point.plan)
        found = skips_at_peak(
            way.described, problem, lambda call: grouping[call.operation].operations, room
        )
    else:
        cascades = [len(cascade.operations) for cascade in way.network.cascades]

        def running(call: Call) -> range:
            number = sum(cascades[: call.step]) + call.operation
            return range(number, number + 1)

        found = skips_at_peak(way.described, point.plan.problem, running, room)
    return (skip for skip in found if not operations[skip.chain[-1]].again)


def _parts(way: Way, skip: LongSkip) -> Iterator[Again]:
    """A skip of which some columns are made again; none if those cannot be made by themselves."""
    width = way.described.tensors[skip.tensor].columns
    for part in _PARTS:
        columns = int(part * width)
        if 0 < columns < width and _makes_columns(way.network, skip, columns):
            yield replace(_named(way, skip), columns=columns)


def _makes_columns(network: Network, skip: LongSkip, columns: int) -> bool:
    """Whether each operation of the chain makes the first columns of those of the one before."""
    wanted, reader = columns, None
    for number in reversed(skip.chain):
        op = network.operations[number]
        computed = [name for name in op.operands if name in network.values]
        if reader is not None and reader != op.result or computed != list(op.operands[:1]):
            return False
        found = first_columns(op.signature, wanted)
        if found is None:
            return False
        _, wanted = found
        reader = op.operands[0]
    return True


def _named(way: Way, skip: LongSkip) -> Again:
    operations = way.described.operations
    chain, readers = (
        tuple(operations[number].name for number in part) for part in (skip.chain, skip.readers)
    )
    return Again(chain, readers)
