"""Nodes of an ONNX graph: their attributes, what messages call them, and others in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import onnx


def attributes_of(node: onnx.NodeProto, *leave_out: str) -> dict[str, Any]:
    """Plain values by name; strings are bytes."""
    return {
        attribute.name: onnx.helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.name not in leave_out
    }


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The branches and bodies of a node."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def operands_of(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, its branches and loops among it."""
    yield from node.input
    for inner in inner_graphs(node):
        own = {value.name for value in (*inner.input, *inner.initializer)}
        for inside in inner.node:
            yield from (name for name in operands_of(inside) if name not in own)
            own.update(inside.output)
        yield from (value.name for value in inner.output if value.name not in own)


def title(node: onnx.NodeProto) -> str:
    """What messages call a node: ``Conv (node 'stem')``."""
    return f"{node.op_type} (node {node.name!r})" if node.name else node.op_type


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Let `graph` consist of `nodes`, which may be its own: those are copied before they go."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
