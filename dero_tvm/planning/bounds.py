"""What must be alive at once: the bytes below which no placement can go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

import numpy as np

from .graph import (
    Graph,
    alignment_unit,
    bits,
    build_graph,
    outlives_run,
    outside_arena,
    round_up,
)
from .liveness import liveness
from .overlap import shared_bytes, valid_overlaps
from .persistent import persistent_part
from .problem import BufferKind, Options, Problem


def step_bytes(problem: Problem, order: Sequence[int], options: Options | None = None) -> list[int]:
    """Least bytes of the buffers alive at each position of `order`.

    The sizes of the live buffers in the arena, rounded up to the common alignment, less what
    valid overlap constraints can save at that step.
    """
    options = options or Options()
    unit = alignment_unit(problem, options)
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
    overlaps: dict[int, dict[tuple[int, int], int]] = {}
    for (output, source), distance in valid_overlaps(problem, order, options).items():
        position = lifetimes[output][0]
        pair = (numbers[output], numbers[source])
        overlaps.setdefault(position, {})[pair] = round_up(distance, unit)
    for position, pairs in overlaps.items():
        totals[position] -= shared_bytes(weights, pairs)
    return totals


def peak(problem: Problem, order: Sequence[int], options: Options | None = None) -> int:
    """The most bytes that `order` has alive at once, after the savings of overlap constraints."""
    return max(step_bytes(problem, order, options), default=0)


def lower_bound(
    problem: Problem, order: Sequence[int] | None = None, options: Options | None = None
) -> int:
    """Bytes below which no placement can go, all regions together.

    With an order, for that order: its peak of live bytes.  Without, for every order: each step
    needs its own buffers, and those that must be alive around it whatever the order.
    """
    options = options or Options()
    states = persistent_part(problem).bytes
    if order is not None:
        return states + peak(problem, order, options)
    graph = build_graph(problem, options)
    return states + max(unavoidable_bytes(problem, graph, options), default=0)


def unavoidable_bytes(problem: Problem, graph: Graph, options: Options) -> list[int]:
    """Per step (in written order), the least bytes alive while it runs, in any order.

    A buffer is alive at step s in every order if s itself uses it, or if it is written by an
    ancestor of s (or is an input) and needed by a descendant of s or to the end of the run.
    """
    unit = alignment_unit(problem, options)
    ancestors, descendants = closure(graph)
    every = (1 << len(problem.steps)) - 1
    sizes = {
        number: round_up(buffer.size, unit)
        for number, buffer in enumerate(graph.buffers)
        if not outside_arena(buffer, options)
    }
    before: dict[int, int] = {}  # per buffer, the steps before which it is filled in every order
    after: dict[int, int] = {}  # and those behind which it is needed
    alive: dict[int, int] = {}
    for number in sizes:
        buffer, writers = graph.buffers[number], graph.writers[number]
        users = writers | graph.readers[number] | graph.holders[number]
        is_input = buffer.kind is BufferKind.INPUT
        before[number] = every if is_input else _union(descendants, writers)
        after[number] = every if outlives_run(buffer, options) else _union(ancestors, users)
        alive[number] = users | before[number] & after[number]
    result = _sums(sizes, alive, len(problem.steps))
    for position, step in enumerate(problem.steps):
        overlaps: dict[tuple[int, int], int] = {}
        for overlap in step.overlaps:
            output, source = graph.index[overlap.output], graph.index[overlap.input]
            if output not in sizes or source not in sizes or output == source:
                continue
            born = (alive[output] & ~before[output]) >> position & 1
            dying = (alive[source] & ~after[source]) >> position & 1
            if born and dying:
                lower, upper, least = overlap.relation(
                    graph.buffers[output].size, graph.buffers[source].size
                )
                pair = (graph.index[lower], graph.index[upper])
                distance = round_up(least, unit)
                overlaps[pair] = min(distance, overlaps.get(pair, distance))
        result[position] -= shared_bytes(sizes, overlaps)
    return result


def _union(masks: Sequence[int], steps: int) -> int:
    return reduce(or_, (masks[step] for step in bits(steps)), 0)


def _sums(sizes: Mapping[int, int], alive: Mapping[int, int], steps: int) -> list[int]:
    """Per step the bytes of the buffers alive; a whole network's steps and buffers are a table."""
    length = -(-steps // 8)
    rows = b"".join(alive[number].to_bytes(length, "little") for number in sizes)
    table = np.frombuffer(rows, np.uint8).reshape(len(sizes), length)
    is_alive = np.unpackbits(table, axis=1, bitorder="little")[:, :steps]
    weights = np.fromiter(sizes.values(), np.int64, len(sizes))
    totals: list[int] = (weights @ is_alive.astype(np.int64)).tolist()
    return totals


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
