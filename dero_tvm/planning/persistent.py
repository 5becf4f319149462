"""The part of an arena that lasts from one run to the next: behind all that does not.

    | inputs, tensors, rings, scratch, outputs | states |
                                               ^ offset, a multiple of their alignment

States are alive throughout, so no plan can need less than the others' bytes and theirs.  Together
at one end, they are what an application leaves alone between runs if it uses the arena's bytes for
something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .graph import round_up
from .plan import MemoryPlan, Placement
from .planning_error import DoesNotFit
from .problem import Buffer, BufferKind, Problem, Region


@dataclass(frozen=True)
class PersistentPart:
    """The states of a problem, one behind the other, in one of its regions."""

    buffers: tuple[Buffer, ...]
    region: str

    @property
    def alignment(self) -> int:
        """Bytes that its address is a multiple of."""
        return max((buffer.alignment for buffer in self.buffers), default=1)

    @property
    def bytes(self) -> int:
        """Bytes of all states."""
        return sum(round_up(buffer.size, self.alignment) for buffer in self.buffers)


def persistent_part(problem: Problem) -> PersistentPart:
    """The states of `problem`, in the first region with room for them.

    Raises ``DoesNotFit`` if there is none.
    """
    states = tuple(b for b in problem.buffers if b.kind is BufferKind.STATE)
    part = PersistentPart(states, problem.regions[0].name)
    for region in problem.regions:
        if region.size is None or part.bytes <= region.size:
            return replace(part, region=region.name)
    raise _does_not_fit(part, problem.regions)


def without_states(problem: Problem, part: PersistentPart) -> Problem:
    """`problem` with the regions that its states leave to everything else."""
    if not part.buffers:
        return problem
    regions = tuple(
        replace(region, size=(region.size - part.bytes) // part.alignment * part.alignment)
        if region.name == part.region and region.size is not None
        else region
        for region in problem.regions
    )
    return replace(problem, regions=regions)


def with_states(plan: MemoryPlan, problem: Problem, part: PersistentPart) -> MemoryPlan:
    """`plan`, made of what `without_states` gave, for all of `problem`."""
    if not part.buffers:
        return plan
    below = plan.arena_bytes.get(part.region, 0)
    offset = round_up(below, part.alignment)
    added = offset - below + part.bytes
    placements = dict(plan.placements)
    for buffer in part.buffers:
        placements[buffer.name] = Placement(part.region, offset)
        offset += round_up(buffer.size, part.alignment)
    return replace(
        plan,
        problem=problem,
        placements=placements,
        arena_bytes={**plan.arena_bytes, part.region: below + added},
        lower_bound=plan.lower_bound + added,
    )


def _does_not_fit(part: PersistentPart, regions: Sequence[Region]) -> DoesNotFit:
    capacity = max(region.size or 0 for region in regions)
    return DoesNotFit(
        f"the network keeps {part.bytes:,} bytes from one run to the next, for which no region has "
        "room",
        required=part.bytes,
        capacity=capacity,
        excess=part.bytes - capacity,
        step=part.buffers[0].name,
    )
