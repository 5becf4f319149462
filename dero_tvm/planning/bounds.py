"""What must be alive at once: the bytes below which no placement can go."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import (
    Graph,
    bits,
    build_graph,
    granule,
    outlives_run,
    outside_arena,
    round_up,
)
from .liveness import liveness
from .overlap import shared_bytes, valid_licences
from .problem import BufferKind, Options, Problem


def step_bytes(problem: Problem, order: Sequence[int], options: Options | None = None) -> list[int]:
    """Least bytes of the buffers alive at each position of `order`.

    The sizes of the live buffers in the arena, rounded up to the common alignment, less what
    valid overlap licences can save at that step.
    """
    options = options or Options()
    unit = granule(problem, options)
    lifetimes = liveness(problem, order, options)
    totals = [0] * len(order)
    sizes: dict[str, int] = {}
    for buffer in problem.buffers:
        if buffer.name in lifetimes and not outside_arena(buffer, options):
            sizes[buffer.name] = round_up(buffer.size, unit)
            first, last = lifetimes[buffer.name]
            for position in range(first, min(last + 1, len(order))):
                totals[position] += sizes[buffer.name]
    numbers = {name: number for number, name in enumerate(sizes)}
    weights = {number: sizes[name] for name, number in numbers.items()}
    licences: dict[int, dict[tuple[int, int], int]] = {}
    for (output, source), distance in valid_licences(problem, order, options).items():
        position = lifetimes[output][0]
        pair = (numbers[output], numbers[source])
        licences.setdefault(position, {})[pair] = round_up(distance, unit)
    for position, pairs in licences.items():
        totals[position] -= shared_bytes(weights, pairs)
    return totals


def peak(problem: Problem, order: Sequence[int], options: Options | None = None) -> int:
    """The most bytes that `order` has alive at once, after the savings of overlap licences."""
    return max(step_bytes(problem, order, options), default=0)


def lower_bound(
    problem: Problem, order: Sequence[int] | None = None, options: Options | None = None
) -> int:
    """Bytes below which no placement can go, all regions together.

    With an order, for that order: its peak of live bytes.  Without, for every order: each step
    needs its own buffers, and those that must be alive around it whatever the order.
    """
    options = options or Options()
    if order is not None:
        return peak(problem, order, options)
    return max(unavoidable_bytes(problem, build_graph(problem, options), options), default=0)


def unavoidable_bytes(problem: Problem, graph: Graph, options: Options) -> list[int]:
    """Per step (in written order), the least bytes alive while it runs, in any order.

    A buffer is alive at step s in every order if s itself uses it, or if it is written by an
    ancestor of s (or is an input) and needed by a descendant of s or to the end of the run.
    """
    unit = granule(problem, options)
    ancestors, descendants = closure(graph)
    result = []
    for position, step in enumerate(problem.steps):
        here = 1 << position
        total = 0
        sizes: dict[int, int] = {}
        dying: set[int] = set()
        born: set[int] = set()
        for number, buffer in enumerate(graph.buffers):
            if outside_arena(buffer, options):
                continue
            users = graph.writers[number] | graph.readers[number] | graph.holders[number]
            lasts = outlives_run(buffer, options)
            is_input = buffer.kind is BufferKind.INPUT
            before = is_input or bool(graph.writers[number] & ancestors[position])
            after = lasts or bool(users & descendants[position])
            if users & here or (before and after):
                sizes[number] = round_up(buffer.size, unit)
                total += sizes[number]
                if not after:
                    dying.add(number)
                if not before:
                    born.add(number)
        licences: dict[tuple[int, int], int] = {}
        for licence in step.overlaps:
            pair = (graph.index[licence.output], graph.index[licence.input])
            if pair[0] in born and pair[1] in dying and pair[0] != pair[1]:
                distance = round_up(licence.distance, unit)
                licences[pair] = min(distance, licences.get(pair, distance))
        result.append(total - shared_bytes(sizes, licences))
    return result


def closure(graph: Graph) -> tuple[list[int], list[int]]:
    """Masks of all ancestors and of all descendants of each step."""
    count = len(graph.predecessors)
    ancestors, descendants = [0] * count, [0] * count
    for step in range(count):
        mask = graph.predecessors[step]
        ancestors[step] = mask
        for earlier in bits(mask):
            ancestors[step] |= ancestors[earlier]
    for step in reversed(range(count)):
        for later in graph.successors[step]:
            descendants[step] |= descendants[later] | 1 << later
    return ancestors, descendants
