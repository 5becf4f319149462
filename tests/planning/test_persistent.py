"""States: at the end of an arena, apart from everything else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dero_tvm.planning import DoesNotFit, Options, PlanError, lower_bound, plan_memory
from dero_tvm.planning.plan import MemoryPlan, Placement
from dero_tvm.planning.problem import Buffer, BufferKind, Overlap, Problem, Region, Step
from dero_tvm.planning.verify import verify


def problem(*regions: Region, sizes: tuple[int, int] = (10, 8)) -> Problem:
    """x -> a -> y, with two states: one is read before it is written, one written over itself."""
    return Problem(
        (
            Buffer("x", 64, BufferKind.INPUT, 4),
            Buffer("a", 64, alignment=4),
            Buffer("y", 16, BufferKind.OUTPUT, 4),
            Buffer("s", sizes[0], BufferKind.STATE, 4),
            Buffer("t", sizes[1], BufferKind.STATE, 8),
        ),
        (
            Step("read", ("x", "s"), ("a",), overlaps=(Overlap("a", "x", 0),)),
            Step("update", ("a", "t"), ("t",), overlaps=(Overlap("t", "t", 0),)),
            Step("give", ("a", "t"), ("y",), overlaps=(Overlap("y", "a", 0),)),
            Step("write", ("a",), ("s",), overlaps=(Overlap("s", "a", 0),)),
        ),
        regions or (Region("sram"),),
    )


def test_behind_everything_else() -> None:
    plan = plan_memory(problem())
    assert plan.total_bytes == 64 + 24
    assert plan.state_bytes == 24
    assert [place.offset for place in plan.state_placements.values()] == [64, 80]
    assert plan.lower_bound == plan.total_bytes == lower_bound(plan.problem, plan.order)
    # A write waits for the reads before it.
    assert plan.order.index(0) < plan.order.index(3)


def test_also_with_inputs_outside() -> None:
    plan = plan_memory(problem(), Options(external_io=True))
    assert plan.total_bytes == 64 + 24
    assert {"s", "t"} < plan.placements.keys()


@pytest.mark.parametrize(
    ("sizes", "region"), [((200, 100), "small"), ((20, 8), "small"), ((90, 8), "large")]
)
def test_in_one_region(sizes: tuple[int, int], region: str) -> None:
    small = Region("small", 320 if sizes[0] == 200 else 100)
    regions = (small, Region("large", 400))
    plan = plan_memory(problem(*regions, sizes=sizes))
    assert {place.region for place in plan.state_placements.values()} == {region}
    for limit in regions:
        assert plan.arena_bytes[limit.name] <= limit.size


def test_no_room() -> None:
    with pytest.raises(DoesNotFit, match="keeps 504 bytes") as caught:
        plan_memory(problem(Region("sram", 400), sizes=(490, 8)))
    assert caught.value.excess == caught.value.required - 400
    with pytest.raises(DoesNotFit):
        plan_memory(problem(Region("sram", 80)))


def _with(plan: MemoryPlan, name: str, offset: int) -> MemoryPlan:
    return replace(plan, placements={**plan.placements, name: Placement("sram", offset)})


@pytest.mark.parametrize(
    ("name", "offset"),
    [("s", 0), ("t", 72), ("y", 64), ("s", 84)],
)
def test_nothing_shares_their_bytes(name: str, offset: int) -> None:
    """Not at any time, whatever overlaps a step allows, and they lie inside the arena."""
    plan = plan_memory(problem())
    with pytest.raises(PlanError):
        verify(_with(plan, name, offset))
