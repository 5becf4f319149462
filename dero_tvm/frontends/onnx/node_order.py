"""The nodes of a graph in an order in which each finds its operands; what has none is refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import onnx

from dero_tvm.boundary.errors import UserError

_MOST_NAMES = 6  # of the tensors of a circle that a message lists


def order_nodes(graph: onnx.GraphProto, label: str) -> None:
    """Sort the nodes of `graph` in place; an order that is right already stays.

    Raises :class:`UserError` for tensors that two nodes compute, or that depend on themselves.
    """
    makers = _makers(graph, label)
    waiting = [0] * len(graph.node)  # operands of each node that are not computed yet
    readers: dict[str, list[int]] = {}
    for position, node in enumerate(graph.node):
        for name in {name for name in node.input if name in makers}:
            waiting[position] += 1
            readers.setdefault(name, []).append(position)
    if all(
        makers[name] < position
        for position, node in enumerate(graph.node)
        for name in node.input
        if name in makers
    ):
        return
    ready = deque(position for position, count in enumerate(waiting) if not count)
    order: list[int] = []
    while ready:
        position = ready.popleft()
        order.append(position)
        for name in graph.node[position].output:
            for reader in readers.get(name, ()) if name else ():
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
    if len(order) < len(graph.node):
        circle = _circle(
            graph, makers, next(p for p, count in enumerate(waiting) if count), waiting
        )
        raise UserError(
            f"{label}: tensors depend on themselves: {circle}; a network without loops is needed"
        )
    nodes = [graph.node[position] for position in order]
    del graph.node[:]
    graph.node.extend(nodes)


def drop_unread_results(graph: onnx.GraphProto) -> None:
    """Leave out results behind the first that nothing reads: indices, masks, statistics."""
    read = {value.name for value in graph.output}
    for node in graph.node:
        read.update(node.input)
    for node in graph.node:
        while len(node.output) > 1 and node.output[-1] not in read:
            del node.output[-1]


def _makers(graph: onnx.GraphProto, label: str) -> dict[str, int]:
    """The position of the node that computes each tensor."""
    given = {
        **{value.name: "an input of the model" for value in graph.input},
        **{tensor.name: "a constant of the model" for tensor in graph.initializer},
    }
    makers: dict[str, int] = {}
    for position, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in makers:
                first = graph.node[makers[name]]
                raise UserError(
                    f"{label}: two nodes compute the tensor {name!r}: {_title(first)} and "
                    f"{_title(node)}; give each result a name of its own"
                )
            if name in given:
                raise UserError(
                    f"{label}: {_title(node)} computes the tensor {name!r}, which is {given[name]} "
                    "already; give each result a name of its own"
                )
            makers[name] = position
    return makers


def _circle(
    graph: onnx.GraphProto, makers: Mapping[str, int], start: int, waiting: list[int]
) -> str:
    """Names of tensors of which each depends on the next, the last being the first."""
    names: list[str] = []
    seen: dict[int, int] = {}
    position = start
    while position not in seen:
        seen[position] = len(names)
        name = next(n for n in graph.node[position].input if n in makers and waiting[makers[n]])
        names.append(name)
        position = makers[name]
    # Tensors passed on the way to the circle are not of it.
    circle = names[seen[position] :]
    listed = [repr(name) for name in [*circle, circle[0]]]
    if len(listed) > _MOST_NAMES:
        listed[_MOST_NAMES - 1 : -1] = ["..."]
    return " <- ".join(listed)


def _title(node: onnx.NodeProto) -> str:
    return f"{node.op_type} (node {node.name!r})" if node.name else node.op_type
