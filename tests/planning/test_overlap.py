"""Overlap constraints: when they hold, which addresses they allow, what they save at most."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.planning import (
    Buffer,
    BufferKind,
    Options,
    Overlap,
    Problem,
    Step,
    liveness,
)
from dero_tvm.planning.overlap import shared_bytes, valid_overlaps
from relax_passes.streaming.least_span import least_span
from tests.random_cases import cases


def is_legal(
    output_offset: int, output_size: int, input_offset: int, input_size: int, distance: int
) -> bool:
    """Whether two buffers alive together may lie there, given their least `distance`."""
    delta = input_offset - output_offset
    return delta >= min(distance, output_size) or delta <= -input_size


def covered(placed: list[tuple[int, int]]) -> int:
    """Bytes that some (address, size) covers."""
    return len({byte for address, size in placed for byte in range(address, address + size)})


@cases(60)
@given(st.integers(1, 4), st.lists(st.tuples(st.integers(1, 3), st.integers(-2, 4)), max_size=2))
def test_least_span_is_the_least_over_all_addresses(
    output: int, inputs: list[tuple[int, int]]
) -> None:
    height = output + sum(size for size, _ in inputs)
    found = []
    for at, *others in product(range(height + 1), repeat=1 + len(inputs)):
        legal = all(
            is_legal(at, output, address, size, distance)
            for address, (size, distance) in zip(others, inputs, strict=True)
        )
        placed = [(a, s) for a, (s, _) in zip(others, inputs, strict=True)]
        apart = covered(placed) == sum(size for _, size in placed)
        if legal and apart:
            found.append(covered([(at, output), *placed]))
    assert least_span(output, inputs) == min(found)


@cases(60)
@given(
    st.lists(st.integers(1, 3), min_size=3, max_size=4),
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(lambda pair: pair[0] != pair[1]),
        st.integers(-1, 3),
        max_size=3,
    ),
)
def test_no_placement_saves_more_than_shared_bytes(
    sizes: list[int], overlaps: dict[tuple[int, int], int]
) -> None:
    overlaps = {pair: d for pair, d in overlaps.items() if max(pair) < len(sizes)}
    least = sum(sizes)
    for at in product(range(sum(sizes)), repeat=len(sizes)):
        legal = True
        for i in range(len(sizes)):
            for j in range(i):
                ways = [
                    is_legal(at[a], sizes[a], at[b], sizes[b], overlaps.get((a, b), sizes[a]))
                    for a, b in ((i, j), (j, i))
                ]
                legal &= any(ways)
        if legal:
            least = min(least, covered(list(zip(at, sizes, strict=True))))
    assert sum(sizes) - shared_bytes(dict(enumerate(sizes)), overlaps) <= least


def chain(source: BufferKind, target: BufferKind, *more: Step) -> Problem:
    buffers = [Buffer("a", 8, source), Buffer("b", 8, target), Buffer("c", 8, BufferKind.OUTPUT)]
    first = [] if source is BufferKind.INPUT else [Step("make", (), ("a",))]
    steps = [*first, Step("s", ("a",), ("b",), (), (Overlap("b", "a", 2),)), *more]
    steps.append(Step("end", ("b",), ("c",)))
    return Problem(tuple(buffers), tuple(steps))


def overlaps_of(problem: Problem, options: Options | None = None) -> dict[tuple[str, str], int]:
    return valid_overlaps(problem, range(len(problem.steps)), options)


def test_when_an_overlap_holds() -> None:
    plain = BufferKind.INTERMEDIATE
    given_overlap = {("b", "a"): 2}
    assert overlaps_of(chain(plain, plain)) == given_overlap
    assert overlaps_of(chain(BufferKind.INPUT, plain)) == given_overlap
    assert overlaps_of(chain(plain, BufferKind.OUTPUT)) == given_overlap


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (chain(BufferKind.INPUT, BufferKind.INTERMEDIATE), Options(keep_inputs=True)),
        (chain(BufferKind.INPUT, BufferKind.INTERMEDIATE), Options(external_io=True)),
        (chain(BufferKind.OUTPUT, BufferKind.INTERMEDIATE), Options()),
        (
            chain(BufferKind.INTERMEDIATE, BufferKind.INTERMEDIATE, Step("late", ("a",), ("b",))),
            Options(),
        ),
    ],
    ids=["kept input", "outside the arena", "network output", "read again"],
)
def test_when_an_overlap_is_void(problem: Problem, options: Options) -> None:
    assert overlaps_of(problem, options) == {}


def test_an_overlap_is_void_if_an_earlier_step_wrote_a_slice_of_the_output() -> None:
    buffers = (
        Buffer("x", 8, BufferKind.INPUT),
        Buffer("y", 8, BufferKind.INPUT),
        Buffer("c", 16, BufferKind.OUTPUT),
    )
    steps = (
        Step("left", ("x",), ("c",), (), (Overlap("c", "x", 0),)),
        Step("right", ("y",), ("c",), (), (Overlap("c", "y", 8),)),
    )
    problem = Problem(buffers, steps)
    assert valid_overlaps(problem, (0, 1)) == {("c", "x"): 0}
    assert valid_overlaps(problem, (1, 0)) == {("c", "y"): 8}


def test_lifetimes() -> None:
    problem = chain(BufferKind.INPUT, BufferKind.INTERMEDIATE)
    assert liveness(problem, (0, 1)) == {"a": (0, 0), "b": (0, 1), "c": (1, 1)}
    kept = liveness(problem, (0, 1), Options(keep_inputs=True))
    assert kept["a"] == (0, 1)
