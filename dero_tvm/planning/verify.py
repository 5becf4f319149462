"""Checking a plan from first principles, with no code in common with the planners.

Everything is recomputed from the problem: who waits for whom, when each buffer is alive, which
overlap constraints hold.  Nothing but the data types is imported from the rest of the package.
"""

from __future__ import annotations

from .plan import MemoryPlan
from .planning_error import PlanError
from .problem import Buffer, BufferKind


def verify(plan: MemoryPlan) -> None:
    """Raise ``PlanError`` unless the plan is right; the message names the buffers and the step.

    Checked: every step runs once, and after those it depends on; every read was written; every
    buffer (but those outside the arena) has one address, aligned and inside its region; arenas
    have the size they state and fit their regions; no two buffers alive together share bytes
    unless an overlap constraint of that step makes it legal at that relative address.
    """
    _check_order(plan)
    _check_addresses(plan)
    _check_sharing(plan)


def _check_order(plan: MemoryPlan) -> None:
    steps = plan.problem.steps
    if sorted(plan.order) != list(range(len(steps))):
        raise PlanError(f"the order {list(plan.order)} is not one of all {len(steps)} steps")
    turn = {index: position for position, index in enumerate(plan.order)}
    latest: dict[tuple[str, str], int] = {}  # of the steps written so far that use a buffer
    for late, step in enumerate(steps):
        for other, names in (("writes", step.reads), ("reads", step.writes)):
            for name in names:
                early = latest.get((other, name), late)
                if turn[early] > turn[late]:
                    raise PlanError(
                        f"step {step.name!r} runs before step {steps[early].name!r}, which must "
                        f"come first because of buffer {name!r}"
                    )
        for way, names in (("reads", step.reads), ("writes", step.writes)):
            for name in names:
                if turn[latest.get((way, name), late)] <= turn[late]:
                    latest[way, name] = late
    kinds = {b.name: b.kind for b in plan.problem.buffers}
    given = (BufferKind.INPUT, BufferKind.STATE)
    filled = {name for name, kind in kinds.items() if kind in given}
    for index in plan.order:
        for name in steps[index].reads:
            if name not in filled:
                raise PlanError(f"step {steps[index].name!r} reads {name!r}, which is not written")
        if plan.options.keep_inputs:
            for name in steps[index].writes:
                if kinds[name] is BufferKind.INPUT:
                    raise PlanError(f"step {steps[index].name!r} writes the kept input {name!r}")
        filled.update(steps[index].writes)
    for name, kind in kinds.items():
        if kind is BufferKind.OUTPUT and name not in filled:
            raise PlanError(f"no step writes output {name!r}")


def _is_external(plan: MemoryPlan, buffer: Buffer) -> bool:
    is_io = buffer.kind is BufferKind.INPUT or buffer.kind is BufferKind.OUTPUT
    return plan.options.external_io and is_io


def _check_addresses(plan: MemoryPlan) -> None:
    regions = {region.name: region for region in plan.problem.regions}
    known = {b.name for b in plan.problem.buffers}
    for name in plan.placements:
        if name not in known:
            raise PlanError(f"the plan places {name!r}, which is no buffer of the problem")
    for name, total in plan.arena_bytes.items():
        if name not in regions:
            raise PlanError(f"the plan has an arena in {name!r}, which is no region")
        limit = regions[name].size
        if limit is not None and total > limit:
            raise PlanError(f"the arena in region {name!r} has {total:,} of {limit:,} bytes")
    for buffer in plan.problem.buffers:
        placement = plan.placements.get(buffer.name)
        if _is_external(plan, buffer):
            if placement is not None:
                raise PlanError(f"buffer {buffer.name!r} lies outside the arena but has an address")
            continue
        if placement is None:
            raise PlanError(f"buffer {buffer.name!r} has no address")
        if placement.region not in plan.arena_bytes:
            raise PlanError(f"buffer {buffer.name!r} lies in {placement.region!r}, not an arena")
        if placement.offset % buffer.alignment:
            raise PlanError(
                f"buffer {buffer.name!r} at {placement.offset} is not aligned to "
                f"{buffer.alignment} bytes"
            )
        end = placement.offset + buffer.size
        if placement.offset < 0 or end > plan.arena_bytes[placement.region]:
            raise PlanError(
                f"buffer {buffer.name!r}, bytes {placement.offset} to {end}, leaves the arena of "
                f"{plan.arena_bytes[placement.region]} bytes in region {placement.region!r}"
            )


def _alive(plan: MemoryPlan) -> list[set[str]]:
    """The buffers alive at each position of the order."""
    count = len(plan.order)
    used: dict[str, list[int]] = {b.name: [] for b in plan.problem.buffers}
    for position, index in enumerate(plan.order):
        step = plan.problem.steps[index]
        for name in {*step.reads, *step.writes, *step.temporaries}:
            used[name].append(position)
    alive: list[set[str]] = [set() for _ in range(count)]
    for buffer in plan.problem.buffers:
        uses = list(used[buffer.name])
        if buffer.kind is BufferKind.INPUT:
            uses.append(0)
            if plan.options.keep_inputs:
                uses.append(count - 1)
        if buffer.kind is BufferKind.OUTPUT:
            uses.append(count - 1)
        if buffer.kind is BufferKind.STATE:
            uses += [0, count - 1]
        for position in range(min(uses, default=0), max(uses, default=-1) + 1):
            alive[position].add(buffer.name)
    return alive


def _check_sharing(plan: MemoryPlan) -> None:
    alive = _alive(plan)
    buffers = {b.name: b for b in plan.problem.buffers}
    for position, index in enumerate(plan.order):
        placed = sorted(
            (plan.placements[name].region, plan.placements[name].offset, name)
            for name in alive[position]
            if name in plan.placements and buffers[name].size
        )
        for number, (region, offset, name) in enumerate(placed):
            end = offset + buffers[name].size
            for other_region, other_offset, other in placed[number + 1 :]:
                if other_region != region or other_offset >= end:
                    break
                if not _may_overlap(plan, alive, position, name, other):
                    step = plan.problem.steps[index].name
                    raise PlanError(
                        f"buffers {name!r} (bytes {offset} to {end}) and {other!r} (from "
                        f"{other_offset}) of region {region!r} share memory while both are alive "
                        f"at step {step!r}"
                    )


def _may_overlap(
    plan: MemoryPlan, alive: list[set[str]], position: int, one: str, two: str
) -> bool:
    """Whether an overlap constraint of that step lets the two share bytes as they lie."""
    for overlap in plan.problem.steps[plan.order[position]].overlaps:
        output, source = overlap.output, overlap.input
        if {output, source} != {one, two} or output == source:
            continue
        kinds = {b.name: b.kind for b in plan.problem.buffers if b.name in (output, source)}
        born = position == 0 or output not in alive[position - 1]
        dies = position + 1 == len(alive) or source not in alive[position + 1]
        kept = kinds[source] is BufferKind.OUTPUT or (
            kinds[source] is BufferKind.INPUT and plan.options.keep_inputs
        )
        if BufferKind.STATE in kinds.values():
            continue
        if not born or not dies or kept or kinds[output] is BufferKind.INPUT:
            continue
        ahead = plan.placements[source].offset - plan.placements[output].offset
        if overlap.descending:  # the ends count, and the output's lies above
            sizes = {b.name: b.size for b in plan.problem.buffers}
            ahead = sizes[output] - sizes[source] - ahead
        if ahead >= overlap.distance:
            return True
    return False
