"""What a report says about the peak: the step, and what is alive there."""

from __future__ import annotations

from dataclasses import dataclass

from .bounds import step_bytes
from .liveness import liveness
from .plan import MemoryPlan, Placement
from .problem import Buffer


@dataclass(frozen=True)
class LiveBuffer:
    """A buffer alive at the peak, where it lies (None: outside the arena), and how long it lives.

    `first` and `last` are positions in the plan's order, both included.
    """

    buffer: Buffer
    placement: Placement | None
    first: int
    last: int


def peak_position(plan: MemoryPlan) -> int:
    """The first position in the plan's order at which the most bytes are alive."""
    totals = step_bytes(plan.problem, plan.order, plan.options)
    return totals.index(max(totals)) if totals else 0


def live_at_peak(plan: MemoryPlan) -> list[LiveBuffer]:
    """The buffers alive at `peak_position`, by region and address, those outside the arena last."""
    position = peak_position(plan)
    lifetimes = liveness(plan.problem, plan.order, plan.options)
    regions = [region.name for region in plan.problem.regions]
    alive = []
    for buffer in plan.problem.buffers:
        first, last = lifetimes.get(buffer.name, (0, -1))
        if first <= position <= last:
            alive.append(LiveBuffer(buffer, plan.placements.get(buffer.name), first, last))

    def place(live: LiveBuffer) -> tuple[int, int]:
        if live.placement is None:
            return len(regions), 0
        return regions.index(live.placement.region), live.placement.offset

    return sorted(alive, key=place)
