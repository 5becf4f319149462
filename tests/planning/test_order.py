"""Orders: the optimum against all orders, realistic graphs within the limit, ties."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning import (
    Buffer,
    BufferKind,
    Options,
    Problem,
    ProblemError,
    Step,
    lower_bound,
    peak,
)
from dero_tvm.planning.budget import Budget
from dero_tvm.planning.order import find_order
from tests.planning.planning_problems import Network, random_options, random_problem, residual_block
from tests.random_cases import cases


def all_orders(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Every order that keeps reads behind writes and writes behind reads of what came before."""
    steps = problem.steps

    def waits(late: int, early: int) -> bool:
        return bool(
            set(steps[late].reads) & set(steps[early].writes)
            or set(steps[late].writes) & set(steps[early].reads)
        )

    before = [{e for e in range(s) if waits(s, e)} for s in range(len(steps))]

    def extend(done: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(done) == len(steps):
            yield done
        for step in range(len(steps)):
            if step not in done and before[step] <= set(done):
                yield from extend((*done, step))

    return extend(())


@cases(150)
@given(st.integers(0, 10**9), st.integers(1, 7))
def test_a_proven_order_is_the_best_of_all_orders(seed: int, steps: int) -> None:
    problem, options = random_problem(seed, steps, alignments=(1, 4)), random_options(seed)
    found = find_order(problem, options, Budget(5))
    least = min(peak(problem, order, options) for order in all_orders(problem))
    assert found.proof == "proven optimal"
    assert found.peak == peak(problem, found.steps, options) == least
    assert lower_bound(problem, options=options) <= least
    written = tuple(range(steps))
    if peak(problem, written, options) == least:
        assert found.steps == written


def nasnet(cells: int, seed: int) -> Problem:
    """Cells of five blocks, each the sum of two branches of separable convolutions."""
    chance = random.Random(seed)
    net = Network()
    previous = current = net.operator([net.input(27)], 40)
    for _ in range(cells):
        states = [net.operator([previous], 44), net.operator([current], 44)]
        used = set()
        for _ in range(5):
            pair = [chance.choice(states), chance.choice(states)]
            used.update(pair)
            ends = []
            for state in pair:
                for _ in range(chance.choice((0, 1, 4))):
                    state = net.operator([state], 44)
                ends.append(state)
            states.append(net.operator(sorted(set(ends)), 44, distance=0))
        unused = [state for state in states if state not in used]
        previous, current = current, net.operator(unused, 44 * len(unused))
    return net.problem()


def densenet(layers: int) -> Problem:
    """Each layer reads the concatenation of all before it."""
    net = Network()
    features = [net.operator([net.input(30)], 64)]
    for _ in range(layers):
        joined = net.operator(features, 64 + 16 * (len(features) - 1))
        features.append(net.operator([net.operator([joined], 64)], 16))
    net.operator(features, 10)
    return net.problem()


def inception(modules: int, seed: int) -> Problem:
    """Modules of four branches of one to three convolutions, concatenated."""
    chance = random.Random(seed)
    net = Network()
    x = net.input(300)
    for _ in range(modules):
        ends = []
        for _ in range(4):
            end = x
            for _ in range(chance.randint(1, 3)):
                end = net.operator([end], chance.randint(20, 300))
            ends.append(end)
        x = net.operator(ends, 400)
    return net.problem()


def unet(levels: int) -> Problem:
    """Down and up again, with a skip at every level."""
    net = Network()
    x = net.input(300)
    skips = []
    size = 6400
    for _ in range(levels):
        x = net.operator([net.operator([x], size)], size)
        skips.append((x, size))
        x = net.operator([x], size // 4)
        size //= 2
    for skip, width in reversed(skips):
        x = net.operator([net.operator([x], width), skip], 2 * width)
        x = net.operator([net.operator([x], width)], width)
    return net.problem()


def branchy(steps: int, seed: int) -> Problem:
    """No network looks like this: every step reads a few of the last eight tensors."""
    chance = random.Random(seed)
    net = Network()
    tensors = [net.input(50)]
    for _ in range(steps):
        count = min(len(tensors), chance.choice((1, 1, 2, 3)))
        inputs = chance.sample(tensors[-8:], min(count, len(tensors[-8:])))
        distance = 0 if chance.random() < 0.3 else None
        tensors.append(net.operator(inputs, chance.randint(1, 200), distance=distance))
    return net.problem()


@pytest.mark.parametrize(
    "problem",
    [
        nasnet(2, 0),
        nasnet(2, 1),
        densenet(18),
        inception(5, 0),
        inception(5, 1),
        unet(6),
        branchy(60, 1),
        branchy(60, 3),
    ],
    ids=["nasnet0", "nasnet1", "densenet", "inception0", "inception1", "unet", "any1", "any3"],
)
def test_graphs_of_about_sixty_steps_are_proven_optimal(problem: Problem) -> None:
    found = find_order(problem, Options(), Budget(20))
    assert found.proof == "proven optimal"
    assert found.peak <= found.written_peak
    assert found.peak == peak(problem, found.steps)


def test_a_better_order_than_the_written_one_is_found() -> None:
    net = Network()
    x = net.input(10)
    wide = [net.operator([x], 100) for _ in range(3)]
    narrow = [net.operator([tensor], 10) for tensor in wide]
    net.operator(narrow, 10)
    problem = net.problem()
    found = find_order(problem, Options(), Budget(2))
    assert peak(problem, range(7)) == 300 + 10
    assert found.peak == 10 + 20 + 100  # the input, two narrow tensors, one wide
    assert find_order(problem, Options(reorder=False), Budget(2)).steps == tuple(range(7))


def test_without_time_the_written_order_stays() -> None:
    problem = branchy(60, 1)
    found = find_order(problem, Options(time_limit=0), Budget(0))
    assert found.peak <= found.written_peak
    assert "with a time limit of 0 s" in found.proof


def test_in_place_addition_takes_a_residual_block_from_three_tensors_to_two() -> None:
    assert peak(residual_block(100, None), range(2)) == 300
    assert peak(residual_block(100, 0), range(2)) == 200


@pytest.mark.parametrize(
    ("buffers", "steps", "message"),
    [
        ((Buffer("a", 1), Buffer("a", 1)), (), "two buffers have the name 'a'"),
        ((Buffer("a", 1),), (Step("s", (), ("b",)),), "step 's' uses 'b', which is no buffer"),
        ((Buffer("a", 1),), (Step("s", ("a",), ()),), "no step writes buffer 'a'"),
        (
            (Buffer("a", 1),),
            (Step("s", ("a",), ()), Step("t", (), ("a",))),
            "step 's' reads 'a' before any step writes it",
        ),
        (
            (Buffer("r", 1, BufferKind.RING),),
            (Step("s", (), (), ("r",)), Step("t", (), (), ("r",))),
            "buffer 'r' is a temporary, so one step holds it",
        ),
        ((Buffer("a", -1),), (), "buffer 'a' has size -1"),
    ],
)
def test_problems_that_contradict_themselves(
    buffers: tuple[Buffer, ...], steps: tuple[Step, ...], message: str
) -> None:
    with pytest.raises(ProblemError, match=message):
        find_order(Problem(buffers, steps), Options(), Budget(1))
