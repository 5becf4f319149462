"""Plans that make some things twice to need less memory: the choice among them, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ..aot.kernels import takes_table
from ..boundary.errors import UserError
from ..planning.column_windows.budget_answer import within
from ..planning.column_windows.frontier import WindowPoint, frontier
from ..planning.column_windows.group_cost import GroupCosts
from ..planning.column_windows.grouping import Grouping
from ..planning.column_windows.network import WindowNetwork
from ..schedule.network import Network
from ..schedule.recut import recut
from ..schedule.to_column_windows import NoWindows, to_column_windows
from .network_planner import NetworkPlanner

_ATTEMPTS = 6  # at planning a point of the frontier within a budget

_Made = TypeVar("_Made")


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

    @cached_property
    def least(self) -> WindowPoint:
        """The one that needs the least memory."""
        return self.points[-1]

    def ratio_within(self, budget: int) -> float | None:
        """The least ratio with which `budget` bytes do; None if nothing does."""
        point = within(self.points, budget, self.described.macs).point
        return None if point is None else self.ratio(point)


def window_plans(
    planner: NetworkPlanner, network: Network, max_recompute: float | None = None
) -> WindowPlans | None:
    """The frontier of a streamed network, up to a ratio; None if it has none.

    `network` has what the core's kernels need in it, as `NetworkPlanner.schedule` gives it.
    """
    options = planner.options
    try:
        described = to_column_windows(
            network,
            takes_table=takes_table,
            keep_inputs=options.keep_inputs,
            external_io=options.external_io,
        )
    except NoWindows:
        return None
    most = None if max_recompute is None else int(max_recompute * described.macs)
    points = frontier(GroupCosts(described), most_macs=most)
    return WindowPlans(network, described, points) if points else None


def first_that_fits(
    plans: WindowPlans,
    make: Callable[[Network, Grouping], _Made | None],
    arena_bytes: Callable[[_Made], int],
    budget: int,
    max_recompute: float | None = None,
) -> tuple[WindowPoint, _Made] | None:
    """The plan with the fewest multiply-accumulates whose arena has at most `budget` bytes.

    `make` plans a network with groups; None if it cannot.  A few plans are made, for their rows may
    find no places within the bytes that are alive.  None if none of them fits.
    """
    most = float("inf") if max_recompute is None else max_recompute * plans.described.macs
    fitting = [p for p in plans.points if p.live_bytes <= budget and p.macs <= most]
    for point in fitting[:_ATTEMPTS]:
        made = make(plans.recut(point), plans.windows(point))
        if made is not None and arena_bytes(made) <= budget:
            return point, made
    return None


def fastest_in_windows(
    plans: WindowPlans, label: str, budget: int, max_recompute: float | None = None
) -> WindowPoint:
    """The plan with the fewest multiply-accumulates that fits `budget` bytes.

    Raises UserError with what would be possible if there is none.
    """
    answer = within(plans.points, budget, plans.described.macs, max_recompute)
    if answer.point is not None:
        return answer.point
    least = f"{answer.least.live_bytes:,} bytes at {described_ratio(plans.ratio(answer.least))}"
    remedies = "raise --memory-budget or choose a smaller input (--input-shapes)"
    if max_recompute is None:
        raise UserError(
            f"{label} does not fit --memory-budget {budget:,} bytes: the least possible, with what "
            f"pays made twice, is {least}; {remedies}"
        )
    if answer.smaller is not None:
        needed = described_ratio(plans.ratio(answer.smaller))
        remedies = f"it would at {needed}: raise --max-recompute, or {remedies}"
    raise UserError(
        f"{label} does not fit --memory-budget {budget:,} bytes within --max-recompute "
        f"{max_recompute:g}: the least possible is {least}; {remedies}"
    )


def described_ratio(ratio: float) -> str:
    """The ratio as messages have it: ``1.07x multiply-accumulates``; never 1.00x but of none."""
    digits = 2 if ratio == 1 or round(ratio, 2) != 1 else 4
    return f"{ratio:.{digits}f}x multiply-accumulates"
