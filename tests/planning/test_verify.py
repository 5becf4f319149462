"""`verify` accepts right plans and names what is wrong with each kind of broken one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dero_tvm.planning import (
    Buffer,
    BufferKind,
    MemoryPlan,
    Options,
    Overlap,
    Placement,
    PlanError,
    Problem,
    Region,
    Step,
    plan_memory,
    verify,
)


def example() -> Problem:
    """x -> a -> (add with x) -> y, and a second output z made from a; scratch in the first."""
    buffers = (
        Buffer("x", 16, BufferKind.INPUT, 4),
        Buffer("a", 16, BufferKind.INTERMEDIATE, 4),
        Buffer("w", 8, BufferKind.SCRATCH, 4),
        Buffer("y", 16, BufferKind.OUTPUT, 4),
        Buffer("z", 4, BufferKind.OUTPUT, 4),
    )
    steps = (
        Step("conv", ("x",), ("a",), ("w",)),
        Step("side", ("a",), ("z",)),
        Step("add", ("a", "x"), ("y",), (), (Overlap("y", "a", 4), Overlap("y", "x", 0))),
    )
    return Problem(buffers, steps, (Region("sram", 64),))


def plan(offsets: dict[str, int], **changes: object) -> MemoryPlan:
    placements = {name: Placement("sram", offset) for name, offset in offsets.items()}
    made = MemoryPlan(
        example(), Options(), (0, 1, 2), placements, {"sram": 64}, 40, "written order", "gap"
    )
    return replace(made, **changes)  # type: ignore[arg-type]


RIGHT = {"x": 0, "a": 16, "w": 32, "z": 40, "y": 0}


def test_right_plans_pass() -> None:
    verify(plan(RIGHT))
    verify(plan(RIGHT, order=(0, 2, 1)))
    verify(plan_memory(example()))
    verify(plan({**RIGHT, "y": 12, "x": 48, "a": 16}))  # y 4 below a: its constraint allows it


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (plan({**RIGHT, "a": 8}), "'x'.*'a'.*step 'conv'"),
        (plan({**RIGHT, "w": 16}), "'a'.*'w'.*step 'conv'"),
        (plan({**RIGHT, "y": 16, "z": 40}), "'a'.*'y'.*step 'add'"),  # needs distance 4
        (plan({**RIGHT, "z": 8}), "'x'.*'z'.*step 'side'"),
        (plan({**RIGHT, "y": 40, "z": 44}), "'y'.*'z'.*step 'add'"),
        (plan({**RIGHT, "y": 4}), "'x'.*'y'.*step 'add'"),  # y above x: distance 0 forbids it
        (plan(RIGHT, options=Options(keep_inputs=True)), "'x'.*'y'.*step 'add'"),
        (plan({**RIGHT, "w": 33}), "'w' at 33 is not aligned to 4"),
        (plan({**RIGHT, "w": 60}), "'w', bytes 60 to 68, leaves the arena of 64 bytes"),
        (plan({**RIGHT, "w": -4}), "'w', bytes -4 to 4, leaves the arena"),
        (plan({k: v for k, v in RIGHT.items() if k != "z"}), "'z' has no address"),
        (plan({**RIGHT, "q": 0}), "places 'q', which is no buffer"),
        (plan(RIGHT, arena_bytes={"sram": 65}), "arena in region 'sram' has 65 of 64 bytes"),
        (plan(RIGHT, arena_bytes={"sram": 40}), "'z', bytes 40 to 44, leaves the arena of 40"),
        (plan(RIGHT, arena_bytes={"sram": 64, "dtcm": 1}), "arena in 'dtcm', which is no region"),
        (plan(RIGHT, arena_bytes={}), "'x' lies in 'sram', not an arena"),
        (plan(RIGHT, order=(1, 0, 2)), "'side' runs before step 'conv'.*'a'"),
        (plan(RIGHT, order=(0, 1)), r"the order \[0, 1\] is not one of all 3 steps"),
        (plan(RIGHT, order=(0, 1, 1)), "is not one of all 3 steps"),
        (plan(RIGHT, options=Options(external_io=True)), "'x' lies outside the arena but has an"),
    ],
)
def test_broken_plans_are_refused(broken: MemoryPlan, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        verify(broken)


def test_the_order_of_overlapping_steps_matters() -> None:
    # Once `side` runs after `add`, a outlives `add` and its overlap constraint does not hold.
    offsets = {"x": 48, "a": 16, "w": 32, "z": 32, "y": 12}
    verify(plan(offsets))
    with pytest.raises(PlanError, match=r"'y'.*'a'.*step 'add'"):
        verify(plan(offsets, order=(0, 2, 1)))


def test_a_read_of_what_nobody_wrote() -> None:
    problem = Problem(
        (Buffer("a", 4), Buffer("y", 4, BufferKind.OUTPUT)), (Step("s", ("a",), ("y",)),)
    )
    placements = {"a": Placement("sram", 0), "y": Placement("sram", 4)}
    made = MemoryPlan(problem, Options(), (0,), placements, {"sram": 8}, 8, "", "")
    with pytest.raises(PlanError, match="step 's' reads 'a', which is not written"):
        verify(made)


def test_two_regions_do_not_share_addresses() -> None:
    problem = replace(example(), regions=(Region("sram"), Region("dtcm")))
    base = plan({**RIGHT, "a": 0})
    placements = {**base.placements, "a": Placement("dtcm", 0)}
    made = replace(
        base, problem=problem, placements=placements, arena_bytes={"sram": 64, "dtcm": 16}
    )
    verify(made)
    with pytest.raises(PlanError, match=r"'a'.*'x'|'x'.*'a'"):
        verify(replace(made, placements={**placements, "a": Placement("sram", 0)}))
