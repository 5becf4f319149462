"""The nodes of a graph in an order in which each finds its operands; what has none is refused."""

from __future__ import annotations

import onnx

from dero_tvm.boundary.errors import UserError

from ..execution_order import execution_order
from .graph_nodes import operands_of, replace_nodes, title


def order_nodes(graph: onnx.GraphProto, label: str) -> None:
    """Sort the nodes of `graph` in place; an order that is right already stays.

    Raises :class:`UserError` for tensors that two nodes compute, or that depend on themselves.
    """
    operands = [node.input for node in graph.node]
    order = execution_order(
        operands, _makers(graph, label), label, lambda position: title(graph.node[position])
    )
    if order == sorted(order):
        return
    replace_nodes(graph, [graph.node[position] for position in order])


def drop_unread_results(graph: onnx.GraphProto) -> None:
    """Leave out results behind the first that nothing reads: indices, masks, statistics.

    Before operator set 14, batch normalizations say by their results that they are in training.
    """
    read = {value.name for value in graph.output}
    for node in graph.node:
        read.update(operands_of(node))
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            continue
        while len(node.output) > 1 and node.output[-1] not in read:
            del node.output[-1]


def _makers(graph: onnx.GraphProto, label: str) -> dict[str, int]:
    """The position of the node that computes each tensor."""
    _refuse_two_constants(graph, label)
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
                    f"{label}: two nodes compute the tensor {name!r}: {title(first)} and "
                    f"{title(node)}; give each result a name of its own"
                )
            if name in given:
                raise UserError(
                    f"{label}: {title(node)} computes the tensor {name!r}, which is {given[name]} "
                    "already; give each result a name of its own"
                )
            makers[name] = position
    return makers


def _refuse_two_constants(graph: onnx.GraphProto, label: str) -> None:
    """Constants of one name and two values: the format does not say which is meant."""
    constants: dict[str, onnx.TensorProto] = {}
    for tensor in graph.initializer:
        if constants.setdefault(tensor.name, tensor) != tensor:
            raise UserError(
                f"{label}: two constants are called {tensor.name!r}, with different values; give "
                "each a name of its own"
            )
