"""Which bytes are alive when: tensors as whole buffers, operators one after the other.

This is the compiler's measure for comparing rewrites, not the memory plan.  It knows which
tensors share a buffer, and nothing of addresses.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import accumulate

import networkx as nx

from ..ir.operator_graph import Node, OperatorGraph
from ..ir.straight_line import StraightLine
from ..operators import operator_of, signature_of

_STORAGE, _GROUPS, _SCHEDULE = "buffer_of", "tensors_in", "schedule"  # what a graph keeps


def storage(graph: OperatorGraph) -> dict[str, str]:
    """For each tensor a representative: tensors with the same one share a buffer.

    A reshape shares its operand's buffer, a cascade's result the buffer it overwrites, the
    operands of a concatenation in place its buffer, and an element of a tuple the tuple's.
    A graph is asked many times, so it keeps the answer until a signature is changed.
    """
    kept = graph.digraph.graph
    if _STORAGE in kept:
        return kept[_STORAGE]
    shared: nx.utils.UnionFind = nx.utils.UnionFind(
        node for node, data in graph.items() if data.kind != "output"
    )
    for node, data in graph.items():
        for operand in _shares_with(data):
            shared.union(operand, node)
    kept[_STORAGE] = {node: shared[node] for node in shared}
    return kept[_STORAGE]


def sharing(graph: OperatorGraph, tensor: str) -> list[str]:
    """The tensors that lie in the same buffer as `tensor`, itself included, in written order."""
    buffer_of = storage(graph)
    kept = graph.digraph.graph
    if _GROUPS not in kept:
        groups: dict[str, list[str]] = {}
        for other in graph:
            if other in buffer_of:
                groups.setdefault(buffer_of[other], []).append(other)
        kept[_GROUPS] = groups
    return kept[_GROUPS][buffer_of[tensor]]


def _shares_with(data: Node) -> tuple[str, ...]:
    if data.in_place is not None:
        return (data.in_place,)
    if data.is_reshape or data.is_concat_in_place or data.operator == "TupleGetItem":
        return data.computed_operands
    return ()


@dataclass(frozen=True)
class OperatorStep:
    """One unit of execution in terms of tensors."""

    reads: tuple[str, ...]
    writes: str
    may_overwrite: tuple[str, ...] = ()  # operands whose buffer the result may take if they die
    extra: int = 0  # bytes of scratch and of rows in flight


@dataclass(frozen=True)
class Schedule:
    """Steps in order of execution; tensors are mapped to buffers and buffers to bytes."""

    steps: tuple[OperatorStep, ...]
    buffer_of: dict[str, str]
    bytes_of: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def schedule(graph: OperatorGraph) -> Schedule:
    """The written order of `graph` as steps, kept like `storage`."""
    kept = graph.digraph.graph
    if _SCHEDULE not in kept:
        kept[_SCHEDULE] = _schedule(graph)
    return kept[_SCHEDULE]


def _schedule(graph: OperatorGraph) -> Schedule:
    buffer_of = storage(graph)
    bytes_of: dict[str, int] = {}
    for node, buffer in buffer_of.items():
        bytes_of[buffer] = max(bytes_of.get(buffer, 0), graph[node].bytes)
    steps = []
    for node in graph.operators_in_order():
        data = graph[node]
        steps.append(OperatorStep(data.computed_operands, node, _may_overwrite(data), _extra(data)))
    return Schedule(tuple(steps), buffer_of, bytes_of, graph.inputs, graph.outputs)


def accumulated(
    plan: Schedule, graph: OperatorGraph, members: Collection[str], residual: str
) -> Schedule:
    """`plan` with the operators `members` run row by row as one step over `residual`'s buffer.

    The step takes the place of the last member.
    """
    inside = [step for step in plan.steps if step.writes in members]
    reads = {name: None for step in inside for name in step.reads if name not in members}
    result = inside[-1].writes
    rows = sum(graph[step.writes].spec.row_bytes for step in inside[:-1])
    merged = OperatorStep(tuple(reads), result, (), rows + sum(step.extra for step in inside))
    steps = tuple(
        merged if step.writes == result else step
        for step in plan.steps
        if step.writes == result or step.writes not in members
    )
    taken = plan.buffer_of[residual]
    gone = plan.buffer_of[result]
    buffer_of = {t: taken if buffer == gone else buffer for t, buffer in plan.buffer_of.items()}
    return replace(plan, steps=steps, buffer_of=buffer_of)


def live_bytes(plan: Schedule) -> dict[str, int]:
    """Bytes alive during each step, inputs and outputs of the network included."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for name in plan.inputs:
        first[plan.buffer_of[name]] = last[plan.buffer_of[name]] = 0
    for index, step in enumerate(plan.steps):
        for name in (step.writes, *step.reads):
            first.setdefault(plan.buffer_of[name], index)
            last[plan.buffer_of[name]] = index
    for name in plan.outputs:
        last[plan.buffer_of[name]] = len(plan.steps) - 1
    if not plan.steps:  # every result is an input or a constant
        return {}
    change = [0] * (len(plan.steps) + 1)
    for buffer, begin in first.items():
        change[begin] += plan.bytes_of[buffer]
        change[last[buffer] + 1] -= plan.bytes_of[buffer]
    live = [step.extra + held for step, held in zip(plan.steps, accumulate(change))]
    for index, step in enumerate(plan.steps):
        target = plan.buffer_of[step.writes]
        if first[target] == index:
            candidates = {plan.buffer_of[name] for name in step.may_overwrite} - {target}
            freed = [plan.bytes_of[b] for b in candidates if last[b] == index]
            live[index] -= min(max(freed, default=0), plan.bytes_of[target])
    return {step.writes: count for step, count in zip(plan.steps, live)}


def _may_overwrite(data: Node) -> tuple[str, ...]:
    if data.known_signature is None:
        return ()
    places = data.implementation.in_place_arguments(data.signature)
    return tuple(operand for i in places if (operand := data.operands[i]) is not None)


def _extra(data: Node) -> int:
    """Scratch of an operator; for a cascade also the rows between its operators."""
    if data.known_signature is not None:
        return data.implementation.scratch_bytes(data.signature)
    return 0 if data.inner is None else _cascade_bytes(data.inner)


def _cascade_bytes(inner: StraightLine) -> int:
    """Bytes of one row of every tensor inside a cascade, and of its operators' scratch."""
    total = 0
    for var, value in inner.bindings:
        operator = operator_of(value)
        if operator is None:
            continue
        signature = signature_of(value)
        total += operator.scratch_bytes(signature)
        if not inner.result.same_as(var):
            total += signature.output.row_bytes
    return total
