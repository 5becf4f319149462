"""Steps whose rows run from the last to the first: overlaps, bounds and plans, by enumeration."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

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
    Step,
    plan_memory,
    step_bytes,
    verify,
)


def one_step(output, inputs, distances, descending=True):
    """A step from inputs of some sizes to one output; `distances` by input."""
    buffers = [Buffer(f"x{i}", size, BufferKind.INPUT) for i, size in enumerate(inputs)]
    buffers.append(Buffer("y", output, BufferKind.OUTPUT))
    overlaps = tuple(Overlap("y", f"x{i}", d, descending) for i, d in distances.items())
    reads = tuple(b.name for b in buffers[:-1])
    return Problem(tuple(buffers), (Step("s", reads, ("y",), (), overlaps),))


def placed(problem, **offsets):
    sizes = {b.name: b.size for b in problem.buffers}
    total = max(offsets[name] + sizes[name] for name in sizes)
    return MemoryPlan(
        problem,
        Options(),
        tuple(range(len(problem.steps))),
        {name: Placement("sram", offset) for name, offset in offsets.items()},
        {"sram": total},
        0,
        "",
        "",
    )


@pytest.mark.parametrize(
    ("output", "size", "distance"), [(8, 10, 3), (10, 8, 3), (6, 6, 0), (4, 9, -2)]
)
def test_the_ends_count(output, size, distance):
    problem = one_step(output, [size], {0: distance})
    for x in range(0, 24):
        end = 12 + output  # y lies at 12
        legal = end - (x + size) >= distance or x >= 12 + output or x + size <= 12
        plan = placed(problem, x0=x, y=12)
        if legal:
            verify(plan)
        else:
            with pytest.raises(PlanError, match="share memory"):
                verify(plan)


def test_ascending_and_descending_are_not_the_same():
    # The output 3 bytes below the input: right if rows ascend, wrong if they descend.
    below, above = {"y": 0, "x0": 3}, {"y": 3, "x0": 0}
    for descending, right, wrong in ((False, below, above), (True, above, below)):
        problem = one_step(10, [10], {0: 3}, descending)
        verify(placed(problem, **right))
        with pytest.raises(PlanError, match="share memory"):
            verify(placed(problem, **wrong))
        assert plan_memory(problem).total_bytes == 13


def test_an_overlap_is_void_if_the_input_is_read_again():
    problem = one_step(10, [10], {0: 3})
    again = Step("t", ("x0",), ("z",))
    later = Problem((*problem.buffers, Buffer("z", 1, BufferKind.OUTPUT)), (*problem.steps, again))
    with pytest.raises(PlanError, match="share memory"):
        verify(placed(later, y=3, x0=0, z=13))
    kept = replace(placed(problem, y=3, x0=0), options=Options(keep_inputs=True))
    with pytest.raises(PlanError, match="share memory"):
        verify(kept)


def test_back_and_forth_in_two_tensors_less_than_one_way():
    """Three convolutions with a distance of 2: the arena is one tensor and 2, if they alternate."""
    sizes = [10, 10, 10, 10]
    kinds = [BufferKind.INPUT, *[BufferKind.INTERMEDIATE] * 2, BufferKind.OUTPUT]
    buffers = tuple(Buffer(f"t{i}", s, k) for i, (s, k) in enumerate(zip(sizes, kinds)))

    def problem(directions):
        steps = []
        for i, descending in enumerate(directions):
            source, target = f"t{i}", f"t{i + 1}"
            overlap = Overlap(target, source, 2, descending)
            steps.append(Step(f"s{i}", (source,), (target,), (), (overlap,)))
        return Problem(buffers, tuple(steps))

    assert plan_memory(problem([False, True, False])).total_bytes == 12
    # One way, each output lies 2 below its input.
    assert plan_memory(problem([False, False, False])).total_bytes == 16


def random_problem(seed):
    """A chain with side branches of few bytes, steps in both directions."""
    chance = random.Random(seed)
    buffers = [Buffer("t0", chance.randint(1, 6), BufferKind.INPUT)]
    if chance.random() < 0.3:
        buffers.append(Buffer("u", chance.randint(1, 4), BufferKind.INPUT))
    steps = []
    for number in range(chance.randint(1, 3)):
        reads = {buffers[-1].name, chance.choice(buffers).name}
        target = Buffer(f"t{number + 1}", chance.randint(1, 6))
        descending = chance.random() < 0.6
        overlaps = tuple(
            Overlap(target.name, name, chance.randint(-2, 4), descending)
            for name in sorted(reads)
            if chance.random() < 0.8
        )
        buffers.append(target)
        steps.append(Step(f"s{number}", tuple(sorted(reads)), (target.name,), (), overlaps))
    read = {name for step in steps for name in step.reads}
    buffers = [
        replace(b, kind=BufferKind.OUTPUT)
        if b.name not in read and b.kind is BufferKind.INTERMEDIATE
        else b
        for b in buffers
    ]
    return Problem(tuple(buffers), tuple(steps))


def least_bytes(problem):
    """The least arena of all placements that `verify` accepts, in written order."""
    names = [b.name for b in problem.buffers]
    total = sum(b.size for b in problem.buffers)
    best = total
    for offsets in product(range(total), repeat=len(names)):
        height = max(o + b.size for o, b in zip(offsets, problem.buffers))
        if height < best:
            try:
                verify(placed(problem, **dict(zip(names, offsets))))
            except PlanError:
                continue
            best = height
    return best


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_plans_are_the_best_of_all_placements(first):
    checked = 0
    for seed in range(first, first + 30):
        problem = random_problem(seed)
        if len(problem.buffers) > 4:
            continue
        checked += 1
        plan = plan_memory(problem, Options(reorder=False))
        least = least_bytes(problem)
        assert plan.total_bytes == least, f"seed {seed}"
        assert plan.lower_bound <= least, f"seed {seed}"
    assert checked > 10


@pytest.mark.parametrize("seed", range(40))
def test_the_bound_of_one_step_is_exact(seed):
    """One output, any number of dying inputs, all descending: the mirrored problem's least."""
    chance = random.Random(seed)
    inputs = [chance.randint(1, 6) for _ in range(chance.randint(1, 3))]
    output = chance.randint(1, 8)
    distances = {i: chance.randint(0, 5) for i in range(len(inputs)) if chance.random() < 0.8}
    both = [one_step(output, inputs, distances, descending) for descending in (False, True)]
    plans = [plan_memory(problem) for problem in both]
    assert plans[0].total_bytes == plans[1].total_bytes
    assert step_bytes(both[1], (0,)) == [plans[1].total_bytes]
