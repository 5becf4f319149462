"""When an output may share memory with a dying input, and what the two need together.

A step makes its output row by row, in ascending addresses, and reads its input in ascending
addresses too.  With the output `distance` bytes below the input, it never catches up with rows
that are still needed (here a convolution of 3 rows and stride 1; every `#` is one row):

    address      0 1 2 3 4 5 6 7 8
    before         [ # # # # # # # ]      the input
    in the       [ o o o . # # # # ]      output rows `o` replace input rows that no later
    middle                                output row reads
    after        [ o o o o o o o ]        the output, `distance` below where the input began

    apart        7 + 7 rows
    overlapped   7 + distance / row bytes = 8 rows

For an output of `S_out` bytes and an input of `S_in` bytes a relative address
`delta = address(input) - address(output)` is legal if and only if

    delta >= distance               the overlap constraint
    or delta >= S_out               apart, the input above
    or delta <= -S_in               apart, the input below

An overlap constraint may be used only if the two are alive together in that one step: the input
dies in it and the output is born in it.  Chains (a -> b -> c in place) need nothing more: a and c
are never alive together.  An addition with two dying inputs has two overlap constraints; the inputs
do not share memory with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from relax_passes.streaming.least_span import least_span

from .graph import outlives_run, outside_arena
from .liveness import liveness
from .problem import BufferKind, Options, Overlap, Problem

LARGEST_INTERLOCK = 16  # joined buffers whose independent sets are enumerated


def is_valid(
    overlap: Overlap,
    position: int,
    lifetimes: Mapping[str, tuple[int, int]],
    problem: Problem,
    options: Options,
) -> bool:
    """Whether `overlap` of the step at `position` may be used, given everyone's lifetimes.

    Not if the input is needed after the step (a later reader, a network output, an input that
    the user wants kept), if the output holds something before it (it is a network input, or an
    earlier step wrote a slice of it), or if either lies outside the arena.
    """
    buffers = {b.name: b for b in problem.buffers if b.name in (overlap.output, overlap.input)}
    source, target = buffers[overlap.input], buffers[overlap.output]
    return (
        overlap.output != overlap.input
        and lifetimes[overlap.input][1] == position
        and lifetimes[overlap.output][0] == position
        and not outlives_run(source, options)
        and target.kind is not BufferKind.INPUT
        and not outside_arena(source, options)
        and not outside_arena(target, options)
    )


def valid_overlaps(
    problem: Problem, order: Sequence[int], options: Options | None = None
) -> dict[tuple[str, str], int]:
    """The overlap constraints that hold for `order`: (lower, upper) -> least distance in bytes.

    The output is the lower one of a step with ascending rows, the upper one of a descending step.
    """
    options = options or Options()
    lifetimes = liveness(problem, order, options)
    sizes = {b.name: b.size for b in problem.buffers}
    found: dict[tuple[str, str], int] = {}
    for position, step_index in enumerate(order):
        for overlap in problem.steps[step_index].overlaps:
            if is_valid(overlap, position, lifetimes, problem, options):
                lower, upper, least = overlap.relation(sizes[overlap.output], sizes[overlap.input])
                found[lower, upper] = min(least, found.get((lower, upper), least))
    return found


def shared_bytes(sizes: Mapping[int, int], overlaps: Mapping[tuple[int, int], int]) -> int:
    """The most bytes that buffers alive together can save through `overlaps`.

    `sizes` maps each buffer of the overlap constraints to its bytes, `overlaps` each (lower, upper)
    to the least ``address(upper) - address(lower)``.  Exact where all overlap constraints have one
    buffer in common, the output of a step; an upper limit where several outputs interlock.  More
    overlap constraints or smaller distances never save less.
    """
    saved = 0
    for group in _connected(overlaps):
        joined = {pair: distance for pair, distance in overlaps.items() if pair[0] in group}
        saved += sum(sizes[member] for member in group) - _least_together(group, sizes, joined)
    return saved


def _least_together(
    group: frozenset[int], sizes: Mapping[int, int], overlaps: Mapping[tuple[int, int], int]
) -> int:
    """Bytes that a group, connected by overlap constraints, covers at least.

    For any members that share no byte with one another, and any lower one: the members that it
    has no overlap constraint with lie apart from it, the others give `least_span`.
    """
    lowers = {lower for lower, _ in overlaps}
    if len(lowers) > 1 and len({upper for _, upper in overlaps}) == 1:
        # One output above its inputs: turn addresses round, and it is one output below them.
        overlaps = {
            (upper, lower): distance + sizes[upper] - sizes[lower]
            for (lower, upper), distance in overlaps.items()
        }
        lowers = {lower for lower, _ in overlaps}
    partners: dict[int, set[int]] = {member: set() for member in group}
    for lower, upper in overlaps:
        partners[lower].add(upper)
        partners[upper].add(lower)
    members = sorted(group)
    if len(lowers) == 1:
        families = [[m for m in members if m not in lowers]]
    elif len(members) <= LARGEST_INTERLOCK:
        families = _maximal_apart(members, partners)
    else:
        families = [[member] for member in members]
    least = 0
    for family in families:
        least = max(least, sum(sizes[m] for m in family))
        for lower in sorted(lowers):
            others = [m for m in family if m != lower and (m, lower) not in overlaps]
            may_overlap = [(sizes[m], overlaps[lower, m]) for m in others if (lower, m) in overlaps]
            apart = sum(sizes[m] for m in others if m not in partners[lower])
            least = max(least, least_span(sizes[lower], may_overlap) + apart)
    return least


def _maximal_apart(members: Sequence[int], partners: Mapping[int, set[int]]) -> list[list[int]]:
    """All maximal sets of members without an overlap constraint between any two."""
    found: list[list[int]] = []

    def grow(chosen: list[int], candidates: set[int], seen: set[int]) -> None:
        if not candidates and not seen:
            found.append(chosen)
        for member in sorted(candidates):
            if member not in candidates:
                continue
            away = {m for m in members if m != member and m not in partners[member]}
            grow([*chosen, member], candidates & away, seen & away)
            candidates = candidates - {member}
            seen = seen | {member}

    grow([], set(members), set())
    return found


def _connected(overlaps: Iterable[tuple[int, int]]) -> list[frozenset[int]]:
    groups: list[frozenset[int]] = []
    for pair in overlaps:
        joined = frozenset(pair)
        rest = []
        for group in groups:
            if group & joined:
                joined |= group
            else:
                rest.append(group)
        groups = [*rest, joined]
    return groups
