"""Addresses: every plan verified, claims of optimality against exhaustive search, regions."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning import (
    Buffer,
    BufferKind,
    DoesNotFit,
    MemoryPlan,
    Options,
    Overlap,
    Problem,
    Region,
    Step,
    constraint,
    lower_bound,
    minimalloc,
    peak,
    plan_memory,
    skyline,
    verify,
)
from dero_tvm.planning.budget import Budget
from dero_tvm.planning.packer import pack
from dero_tvm.planning.packing import Packing
from dero_tvm.planning.skyline import Strategy
from tests.planning.planning_problems import Network, random_options, random_problem, residual_block
from tests.random_cases import cases


@cases(80)
@given(st.integers(0, 10**9), st.integers(1, 25))
def test_every_plan_is_right_and_never_below_the_bound(seed: int, steps: int) -> None:
    problem = random_problem(seed, steps, alignments=(1, 4, 8))
    options = random_options(seed)
    plan = plan_memory(problem, options)
    verify(plan)
    assert plan.total_bytes >= plan.lower_bound >= lower_bound(problem, plan.order, options)
    settled = plan.placement_proof in ("meets the lower bound", "proven optimal")
    assert settled == (plan.total_bytes == plan.lower_bound)
    if not settled:
        assert plan.placement_proof == f"gap {plan.total_bytes - plan.lower_bound:,} bytes"


def least_height(packing: Packing, at_most: int) -> int:
    """The least height by trying every address for every item."""
    for height in range(at_most):
        ranges = [
            range(0, height - size + 1, alignment)
            for size, alignment in zip(packing.sizes, packing.alignments, strict=True)
        ]

        def extend(at: tuple[int, ...], ranges: list[range] = ranges) -> bool:
            item = len(at)
            if item == len(packing):
                return True
            return any(
                all(
                    address <= at[j] - above or address >= at[j] + below
                    for j, above, below in packing.neighbours[item]
                    if j < item
                )
                and extend((*at, address))
                for address in ranges[item]
            )

        if extend(()):
            return height
    return at_most


packings = st.integers(1, 6).flatmap(
    lambda count: st.builds(
        lambda sizes, starts, lives, alignments, overlaps: Packing(
            tuple(sizes),
            tuple(starts),
            tuple(start + life for start, life in zip(starts, lives, strict=True)),
            tuple(alignments),
            {
                (a, b): distance
                for (a, b), distance in overlaps.items()
                if a != b
                and max(a, b) < count
                and starts[b] < starts[a] == starts[b] + lives[b] - 1
            },
        ),
        st.lists(st.integers(1, 5), min_size=count, max_size=count),
        st.lists(st.integers(0, 4), min_size=count, max_size=count),
        st.lists(st.integers(1, 4), min_size=count, max_size=count),
        st.lists(st.sampled_from((1, 1, 2)), min_size=count, max_size=count),
        st.dictionaries(
            st.tuples(st.integers(0, 5), st.integers(0, 5)), st.integers(-2, 4), max_size=8
        ),
    )
)


@cases(150)
@given(packings)
def test_what_is_proven_is_true(packing: Packing) -> None:
    packed = pack(packing, Budget(0.5))
    least = least_height(packing, packed.height)
    assert packed.bound <= least <= packed.height
    if packed.height == packed.bound:
        assert packed.height == least


@cases(150)
@given(packings, st.sampled_from(("lowest", "slack", "first")))
def test_exact_search_finds_what_there_is(packing: Packing, tie: str) -> None:
    least = least_height(packing, sum(packing.sizes) + 2 * len(packing))
    strategy = Strategy(tuple(range(len(packing))), tie)
    found = skyline.search(packing, least, Budget(5), 10_000, strategy)
    below = skyline.search(packing, least - 1, Budget(5), 10_000, strategy)
    assert below.offsets is None
    if min(packing.overlaps.values(), default=0) >= 0:
        assert found.offsets is not None
        assert packing.height(found.offsets) <= least
        assert below.proven
    relaxed = skyline.search(packing, least, Budget(5), 10_000, strategy, relaxed=True)
    assert not relaxed.proven


@cases(25)
@given(packings)
def test_cp_sat_agrees(packing: Packing) -> None:
    pytest.importorskip("ortools", reason="OR-Tools is not installed")
    top = sum(packing.sizes) + 2 * len(packing)
    offsets, bound = constraint.solve(packing, 0, top, 5.0)
    assert offsets is not None
    assert packing.height(offsets) == bound == least_height(packing, top)


def test_residual_block_in_place() -> None:
    apart, in_place = (plan_memory(residual_block(100, distance)) for distance in (None, 0))
    assert apart.total_bytes == 300
    assert in_place.total_bytes == 200
    assert in_place.placement_proof == "meets the lower bound"


def test_a_chain_whose_live_bytes_cannot_be_met_is_proven_optimal() -> None:
    # b lies at 2 or more above c, and at least 2 below a, so a, b and c reach 2 + 2 + 6.
    buffers = (
        Buffer("a", 6, BufferKind.INPUT),
        Buffer("b", 6),
        Buffer("c", 6, BufferKind.OUTPUT),
    )
    steps = (
        Step("one", ("a",), ("b",), (), (Overlap("b", "a", 2),)),
        Step("two", ("b",), ("c",), (), (Overlap("c", "b", 2),)),
    )
    plan = plan_memory(Problem(buffers, steps))
    assert peak(plan.problem, plan.order) == 8
    assert (plan.total_bytes, plan.lower_bound) == (10, 10)
    assert plan.placement_proof == "proven optimal"
    offsets = [plan.placements[name].offset for name in "abc"]
    assert offsets == [4, 2, 0]


@pytest.mark.parametrize("seed", range(4))
def test_plans_repeat(seed: int) -> None:
    problem = random_problem(seed, 14, alignments=(1, 4))
    assert plan_memory(problem) == plan_memory(problem)


def with_regions(problem: Problem, *sizes: int | None) -> Problem:
    regions = tuple(Region(f"r{i}", size) for i, size in enumerate(sizes))
    return replace(problem, regions=regions)


@cases(60)
@given(st.integers(0, 10**9), st.integers(1, 12), st.floats(0.2, 1.1), st.floats(0.2, 1.1))
def test_regions_hold_what_is_put_into_them(
    seed: int, steps: int, first: float, second: float
) -> None:
    problem, options = random_problem(seed, steps), random_options(seed)
    need = lower_bound(problem, range(steps), options)
    split = with_regions(problem, int(need * first), int(need * second))
    try:
        plan = plan_memory(split, options)
    except DoesNotFit as error:
        assert error.step in {step.name for step in problem.steps}
        return
    verify(plan)
    assert set(plan.arena_bytes) == {"r0", "r1"}


def test_the_first_region_is_preferred() -> None:
    net = Network()
    x = net.input(40)
    for size in (60, 50, 10):
        x = net.operator([x], size)
    problem = net.problem()
    fits = plan_memory(with_regions(problem, 110, 1000))
    assert fits.arena_bytes == {"r0": 110, "r1": 0}
    spills = plan_memory(with_regions(problem, 70, None))
    assert spills.arena_bytes["r0"] <= 70
    assert 0 < spills.arena_bytes["r1"] <= 60
    verify(spills)


def test_a_network_that_does_not_fit_says_by_how_much_and_where() -> None:
    problem = with_regions(residual_block(100, 0), 150)
    with pytest.raises(
        DoesNotFit,
        match=r"does not fit 'r0' \(150 bytes\): step 's0' needs at least 200 bytes at once, "
        r"50 more than there is",
    ) as caught:
        plan_memory(problem)
    error = caught.value
    assert (error.required, error.capacity, error.excess, error.step) == (200, 150, 50, "s0")


def test_a_buffer_larger_than_any_region_does_not_fit() -> None:
    with pytest.raises(DoesNotFit, match="buffer 'x0' alone has 100 bytes, 20 more"):
        plan_memory(with_regions(residual_block(100, 0), 80, 80, 80))


def test_buffers_that_cannot_be_divided_say_how_much_the_last_region_lacks() -> None:
    with pytest.raises(DoesNotFit, match="'r1' would have to be 5 bytes larger") as caught:
        plan_memory(with_regions(residual_block(100, None), 205, 95))
    assert caught.value.excess == 5


def test_outside_io_has_no_address() -> None:
    plan = plan_memory(residual_block(100, 0), Options(external_io=True))
    assert set(plan.placements) == {"t0"}
    assert plan.total_bytes == 100


def test_an_empty_problem_has_an_empty_plan() -> None:
    plan = plan_memory(Problem((), ()))
    assert isinstance(plan, MemoryPlan)
    assert plan.total_bytes == 0


def streaming_chain(length: int) -> Problem:
    """Cascades with rings, each output overlapping the input at some distance."""
    net = Network()
    x = net.input(2000)
    for number in range(length):
        size = 500 + 377 * number % 2500
        x = net.operator([x], size, scratch=50 + 13 * number % 200, distance=(7 * number) % 300)
    return net.problem()


def test_several_hundred_buffers_are_placed_within_a_hundredth_of_the_bound() -> None:
    plan = plan_memory(streaming_chain(250), Options(time_limit=10))
    assert plan.total_bytes <= 1.01 * plan.lower_bound


def test_no_clock_ends_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, options = random_problem(5, 150), Options(time_limit=0.5)
    plan = plan_memory(problem, options)
    assert "proven" not in plan.order_proof  # the limit ended it
    for clock in ("monotonic", "perf_counter", "process_time", "time"):
        hours = count(0, 3600)
        monkeypatch.setattr(time, clock, lambda hours=hours: next(hours))
    assert plan_memory(problem, options) == plan


def test_benchmark_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.csv"
    file.write_text("id,lower,upper,size\na,0,2,4\nb,1,3,4\nc,2,4,4\n")
    assert minimalloc.main([str(file), "--capacity", "8"]) == 0
    assert "tiny.csv: solved, 8 bytes" in capsys.readouterr().out
    assert minimalloc.main([str(file), "--capacity", "7", "--time-limit", "1"]) == 1
    file.write_text("id,lower,upper\na,0,2\n")
    assert minimalloc.main([str(file)]) == 2
    assert "line 2: the columns id,lower,upper,size are expected" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["A", "C", "D"])
def test_minimalloc_instances(shared: Path, name: str) -> None:
    solution = minimalloc.solve(shared / "planner" / f"{name}.csv")
    ids, packing = minimalloc.read(shared / "planner" / f"{name}.csv")
    assert solution.height <= minimalloc.CAPACITY
    placed = [solution.offsets[name] for name in ids]
    for i, j in product(range(len(ids)), repeat=2):
        if i < j and packing.starts[i] < packing.ends[j] and packing.starts[j] < packing.ends[i]:
            assert (
                placed[i] + packing.sizes[i] <= placed[j]
                or placed[j] + packing.sizes[j] <= placed[i]
            )
