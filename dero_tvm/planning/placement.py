"""An address in a region for every buffer, given the order of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .bounds import step_bytes
from .budget import Budget
from .graph import alignment_unit, outside_arena, round_up
from .liveness import liveness
from .overlap import valid_overlaps
from .packer import Packed, pack
from .packing import Packing
from .plan import Placement
from .planning_error import DoesNotFit
from .problem import Buffer, Options, Problem, Region
from .regions import distribute

UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Addresses:
    """Where the buffers lie, the arenas that takes, and what is proven."""

    placements: dict[str, Placement]
    arena_bytes: dict[str, int]
    bound: int  # bytes; no placement for the order is smaller
    proof: str

    @property
    def total_bytes(self) -> int:
        """Bytes of all arenas together."""
        return sum(self.arena_bytes.values())


def packing_of(
    problem: Problem, order: Sequence[int], options: Options
) -> tuple[list[Buffer], Packing]:
    """The buffers that need a place in an arena, and the packing problem they make."""
    unit = alignment_unit(problem, options)
    lifetimes = liveness(problem, order, options)
    buffers = [b for b in problem.buffers if b.name in lifetimes and not outside_arena(b, options)]
    numbers = {b.name: i for i, b in enumerate(buffers)}
    overlaps = {
        (numbers[output], numbers[source]): round_up(distance, unit)
        for (output, source), distance in valid_overlaps(problem, order, options).items()
    }
    return buffers, Packing(
        tuple(round_up(b.size, unit) for b in buffers),
        tuple(lifetimes[b.name][0] for b in buffers),
        tuple(lifetimes[b.name][1] + 1 for b in buffers),
        tuple(b.alignment for b in buffers),
        overlaps,
    )


def place(problem: Problem, order: Sequence[int], options: Options, budget: Budget) -> Addresses:
    """Place every buffer for `order`.

    All in the first region if they fit there; otherwise as few bytes as possible in the regions
    further down the list.  Raises ``DoesNotFit`` if no such placement is found.
    """
    buffers, packing = packing_of(problem, order, options)
    bound = packing.lower_bound()
    capacities = _capacities(problem.regions)
    packed: list[tuple[list[int], Packed]] | None = None
    whole: Packed | None = None
    if bound <= capacities[0]:
        whole = pack(packing, budget)
        if whole.height <= capacities[0]:
            packed = [(list(range(len(buffers))), whole)]
    kinds = [b.kind for b in buffers]
    if packed is None and len(capacities) > 1:
        packed = distribute(packing, kinds, capacities, budget)
    if packed is None:
        missing = 0
        if bound <= sum(capacities) and len(capacities) > 1:
            roomy = distribute(packing, kinds, [*capacities[:-1], UNLIMITED], budget)
            missing = roomy[-1][1].height - capacities[-1] if roomy else 0
        raise _does_not_fit(problem, order, options, buffers, bound, whole, missing)
    placements: dict[str, Placement] = {}
    arena_bytes: dict[str, int] = {}
    for region, (items, result) in zip(problem.regions, packed, strict=False):
        arena_bytes[region.name] = result.height
        for item, offset in zip(items, result.offsets, strict=True):
            placements[buffers[item].name] = Placement(region.name, offset)
    for region in problem.regions[len(packed) :]:
        arena_bytes[region.name] = 0
    ordered = {b.name: placements[b.name] for b in buffers}
    total = sum(arena_bytes.values())
    if total <= bound:
        return Addresses(ordered, arena_bytes, bound, "meets the lower bound")
    if len(packed) == 1:
        bound = packed[0][1].bound
        if total <= bound:
            return Addresses(ordered, arena_bytes, bound, "proven optimal")
    return Addresses(ordered, arena_bytes, bound, f"gap {total - bound:,} bytes")


def _capacities(regions: Sequence[Region]) -> list[int]:
    return [UNLIMITED if region.size is None else region.size for region in regions]


def _does_not_fit(
    problem: Problem,
    order: Sequence[int],
    options: Options,
    buffers: Sequence[Buffer],
    bound: int,
    whole: Packed | None,
    missing: int,
) -> DoesNotFit:
    """The error that says what lacks.

    `whole` is the placement of all buffers in the first region, `missing` how many bytes more
    the last region would have to have.
    """
    capacities = _capacities(problem.regions)
    needs = step_bytes(problem, order, options)
    worst = max(range(len(needs)), key=lambda position: (needs[position], -position))
    step = problem.steps[order[worst]].name
    largest = max(buffers, key=lambda b: b.size)
    capacity, required = sum(capacities), bound
    if bound > capacity:
        reason = (
            f"step {step!r} needs at least {required:,} bytes at once, "
            f"{required - capacity:,} more than there is"
        )
    elif largest.size > max(capacities):
        capacity, required = max(capacities), largest.size
        users = (
            s.name
            for s in (problem.steps[i] for i in order)
            if largest.name in (*s.reads, *s.writes, *s.temporaries)
        )
        step = next(users, step)  # nobody may use an input
        reason = (
            f"buffer {largest.name!r} alone has {required:,} bytes, {required - capacity:,} more "
            f"(first used by step {step!r})"
        )
    elif len(capacities) == 1 and whole is not None:
        required = whole.height
        reason = (
            f"the best placement found takes {required:,} bytes, {required - capacity:,} more "
            f"than there is (most are alive at step {step!r}: {bound:,})"
        )
    else:
        required = capacity + missing
        name = problem.regions[-1].name
        reason = (
            f"no division of the buffers among them was found, {name!r} would have to be "
            f"{missing:,} bytes larger (most are alive at step {step!r}: {bound:,})"
        )
    names = " and ".join(
        f"{r.name!r} ({c:,} bytes)" for r, c in zip(problem.regions, capacities, strict=True)
    )
    return DoesNotFit(
        f"the network does not fit {names}: {reason}",
        required=required,
        capacity=capacity,
        excess=required - capacity,
        step=step,
    )
