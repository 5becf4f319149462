"""Plans that make some things twice to need less memory: the choice among them, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ..aot.kernels import makes_windows, takes_table
from ..boundary.errors import UserError
from ..planning.column_windows.frontier import WindowPoint, frontier
from ..planning.column_windows.group_cost import GroupCosts
from ..planning.column_windows.grouping import Grouping
from ..planning.column_windows.network import WindowNetwork
from ..schedule.network import Network
from ..schedule.recompute_ratio import described_ratio
from ..schedule.recut import recut
from ..schedule.to_column_windows import NoWindows, to_column_windows
from .network_planner import NetworkPlanner

_ATTEMPTS = 6  # at planning a point of the frontier within a budget

_Made = TypeVar("_Made")
Make = Callable[[Network, Grouping, int | None], _Made | None]
"""Plans a network with groups, below so many bytes; None if it cannot."""


@dataclass(frozen=True, eq=False)
class WindowPlans:
    """The frontier of one network, the fewest multiply-accumulates first.

    Bytes are those alive at once; where the rows then lie may take a few more.
    """

    network: Network  # whose operations groupings number
    described: WindowNetwork
    points: tuple[WindowPoint, ...]

    def ratio(self, point: WindowPoint) -> float:
        """Multiply-accumulates as a multiple of those with nothing made twice."""
        return point.macs / max(self.described.macs, 1)

    def recut(self, point: WindowPoint) -> Network:
        """The network in the cascades of a point's plan."""
        plan = point.plan
        return recut(self.network, [plan.grouping[group].first for group in plan.cuts])

    @staticmethod
    def windows(point: WindowPoint) -> Grouping:
        """The groups of a point's plan that have several operations."""
        return tuple(group for group in point.plan.grouping if group.first < group.last)

    def within(self, max_recompute: float | None) -> tuple[WindowPoint, ...]:
        """The points up to a ratio: those with nothing made twice are always among them."""
        most = float("inf") if max_recompute is None else max_recompute
        return tuple(p for p in self.points if self.ratio(p) <= max(most, 1.0)) or self.points[:1]

    @cached_property
    def least(self) -> WindowPoint:
        """The one that needs the least memory."""
        return self.points[-1]

    def ratio_within(self, budget: int) -> float | None:
        """The least ratio with which `budget` bytes do; None if nothing does."""
        fitting = (point for point in self.points if point.live_bytes <= budget)
        return next(map(self.ratio, fitting), None)


def window_plans(planner: NetworkPlanner, network: Network) -> WindowPlans | None:
    """The frontier of a streamed network; None if it has none.

    `network` has what the core's kernels need in it, as `NetworkPlanner.schedule` gives it.
    """
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
    points = frontier(GroupCosts(described))
    return WindowPlans(network, described, points) if points else None


def first_that_fits(
    plans: WindowPlans,
    make: Make[_Made],
    arena_bytes: Callable[[_Made], int],
    budget: int,
    max_recompute: float | None = None,
) -> tuple[WindowPoint, _Made] | None:
    """The plan with the fewest multiply-accumulates whose arena has at most `budget` bytes.

    A few plans are made, for their rows may find no places within the bytes that are alive; the
    smallest is the last of them.  None if none of them fits.
    """
    fitting = [p for p in plans.within(max_recompute) if p.live_bytes <= budget]
    for point in dict.fromkeys((*fitting[: _ATTEMPTS - 1], *fitting[-1:])):
        made = make(plans.recut(point), plans.windows(point), budget + 1)
        if made is not None and arena_bytes(made) <= budget:
            return point, made
    return None


def fastest_in_windows(
    plans: WindowPlans,
    make: Make[_Made],
    arena_bytes: Callable[[_Made], int],
    label: str,
    budget: int,
    max_recompute: float | None = None,
    without: int | None = None,
) -> _Made:
    """As `first_that_fits`, but raises UserError with what would be possible if nothing fits.

    `without` is the least number of bytes that was found with nothing made twice.
    """
    found = first_that_fits(plans, make, arena_bytes, budget, max_recompute)
    if found is not None:
        return found[1]
    least, ratio = without, 1.0
    smallest = plans.within(max_recompute)[-1]
    made = make(plans.recut(smallest), plans.windows(smallest), without)
    if made is not None:
        least, ratio = arena_bytes(made), plans.ratio(smallest)
    possible = "the least possible"
    if least is not None:
        possible += f" is {least:,} bytes at {described_ratio(ratio)}, {least - budget:,} more"
    else:
        possible += " does not fit the board"
    remedies = "raise --memory-budget or choose a smaller input (--input-shapes)"
    if max_recompute is None:
        raise UserError(
            f"{label} does not fit --memory-budget {budget:,} bytes: {possible}; {remedies}"
        )
    beyond = first_that_fits(plans, make, arena_bytes, budget)
    if beyond is not None:
        needed = described_ratio(plans.ratio(beyond[0]))
        remedies = f"it would at {needed}: raise --max-recompute, or {remedies}"
    raise UserError(
        f"{label} does not fit --memory-budget {budget:,} bytes within --max-recompute "
        f"{max_recompute:g}: {possible}; {remedies}"
    )
