"""Which bytes are alive when: tensors as whole buffers, operators one after the other.

This is the compiler's measure for comparing rewrites, not the memory plan.  It knows which
tensors share a buffer, and nothing of addresses.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import accumulate

import networkx as nx

from ..ir.operator_graph import operators_in_order
from ..ir.straight_line import StraightLine
from ..operators import Signature, operator_of, signature_of

_STORAGE, _GROUPS, _SCHEDULE = "buffer_of", "tensors_in", "schedule"  # attributes of a graph


def storage(graph: nx.DiGraph) -> dict[str, str]:
    """For each tensor a representative: tensors with the same one share a buffer.

    A reshape shares its operand's buffer, a cascade's result the buffer it overwrites, the
    operands of a concatenation in place its buffer, and an element of a tuple the tuple's.
    A graph is asked many times, so it keeps the answer until `change_signature`.
    """
    if _STORAGE in graph.graph:
        return graph.graph[_STORAGE]
    shared: nx.utils.UnionFind = nx.utils.UnionFind(
        node for node, data in graph.nodes(data=True) if data["kind"] != "output"
    )
    for node, data in graph.nodes(data=True):
        for operand in _shares_with(data):
            shared.union(operand, node)
    graph.graph[_STORAGE] = {node: shared[node] for node in shared}
    return graph.graph[_STORAGE]


def change_signature(graph: nx.DiGraph, node: str, signature: Signature) -> None:
    """Give an operator another signature, as if it had been read with it."""
    graph.nodes[node]["signature"] = signature
    for kept in (_STORAGE, _GROUPS, _SCHEDULE):
        graph.graph.pop(kept, None)


def sharing(graph: nx.DiGraph, tensor: str) -> list[str]:
    """The tensors that lie in the same buffer as `tensor`, itself included, in written order."""
    buffer_of = storage(graph)
    if _GROUPS not in graph.graph:
        groups: dict[str, list[str]] = {}
        for other in graph:
            if other in buffer_of:
                groups.setdefault(buffer_of[other], []).append(other)
        graph.graph[_GROUPS] = groups
    return graph.graph[_GROUPS][buffer_of[tensor]]


def is_reshape(data: dict) -> bool:
    """True for the node attributes of a reshape, which costs no memory."""
    return data["operator"] == "dero.reshape"


def is_concat_in_place(data: dict) -> bool:
    """True for the node attributes of a concatenation whose operands are slices of its buffer."""
    return data["operator"] == "dero.concat" and bool(data["signature"]["in_place"])


def _shares_with(data: dict) -> list[str]:
    if data["in_place"] is not None:
        return [data["in_place"]]
    if is_reshape(data) or is_concat_in_place(data) or data["operator"] == "TupleGetItem":
        return [operand for operand in data["operands"] if operand is not None]
    return []


@dataclass(frozen=True)
class Step:
    """One unit of execution in terms of tensors."""

    reads: tuple[str, ...]
    writes: str
    may_overwrite: tuple[str, ...] = ()  # operands whose buffer the result may take if they die
    extra: int = 0  # bytes of scratch and of rows in flight


@dataclass(frozen=True)
class Schedule:
    """Steps in order of execution; tensors are mapped to buffers and buffers to bytes."""

    steps: tuple[Step, ...]
    buffer_of: dict[str, str]
    bytes_of: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def schedule(graph: nx.DiGraph) -> Schedule:
    """The written order of `graph` as steps, kept like `storage`."""
    if _SCHEDULE not in graph.graph:
        graph.graph[_SCHEDULE] = _schedule(graph)
    return graph.graph[_SCHEDULE]


def _schedule(graph: nx.DiGraph) -> Schedule:
    buffer_of = storage(graph)
    bytes_of: dict[str, int] = {}
    for node, buffer in buffer_of.items():
        bytes_of[buffer] = max(bytes_of.get(buffer, 0), graph.nodes[node]["bytes"])
    steps = []
    for node in operators_in_order(graph):
        data = graph.nodes[node]
        reads = tuple(operand for operand in data["operands"] if operand is not None)
        steps.append(Step(reads, node, _may_overwrite(data), _extra(data)))
    inputs, outputs = graph.graph["inputs"], graph.graph["outputs"]
    return Schedule(tuple(steps), buffer_of, bytes_of, inputs, outputs)


def accumulated(
    plan: Schedule, graph: nx.DiGraph, members: Collection[str], residual: str
) -> Schedule:
    """`plan` with the operators `members` run row by row as one step over `residual`'s buffer.

    The step takes the place of the last member.
    """
    inside = [step for step in plan.steps if step.writes in members]
    reads = {name: None for step in inside for name in step.reads if name not in members}
    result = inside[-1].writes
    rows = sum(graph.nodes[step.writes]["spec"].row_bytes for step in inside[:-1])
    merged = Step(tuple(reads), result, (), rows + sum(step.extra for step in inside))
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


def _may_overwrite(data: dict) -> tuple[str, ...]:
    if data["signature"] is None:
        return ()
    places = data["implementation"].in_place_arguments(data["signature"])
    return tuple(data["operands"][i] for i in places if data["operands"][i] is not None)


def _extra(data: dict) -> int:
    """Scratch of an operator; for a cascade also the rows between its operators."""
    if data["signature"] is not None:
        return data["implementation"].scratch_bytes(data["signature"])
    return 0 if data["inner"] is None else _cascade_bytes(data["inner"])


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
