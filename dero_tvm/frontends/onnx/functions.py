"""The functions that an ONNX file defines itself, inlined, as long as there are not too many nodes.

A function may call others ten times each, these others again, and so on: a file of a few kilobytes
can stand for more nodes than any memory holds, so they are counted before they are made.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import inliner

from dero_tvm.boundary.errors import UserError, first_line

MOST_NODES = 16_000  # twice as many as operators that can be compiled: exporters compute shapes
_Key = tuple[str, str, str]


def inline_functions(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """`model` without functions of its own.

    Raises :class:`UserError` if they call themselves, or if there are too many nodes, with or
    without functions.
    """
    count = _Count({_key(function): function for function in model.functions}, label)
    if count.of(model.graph.node) > MOST_NODES:
        raise UserError(
            f"{label}: the model has more than {MOST_NODES:,} nodes, those of its functions "
            "included; that is no network for a microcontroller"
        )
    if not model.functions:
        return model
    try:  # bodies of other operator sets are converted to the model's
        return inliner.inline_local_functions(model, convert_version=True)
    except Exception as error:  # the converter asserts
        sets = {
            (function.name, opset.version)
            for function in model.functions
            for opset in function.opset_import
            if opset.domain in ("", "ai.onnx")
        }
        listed = ", ".join(f"{name} {version}" for name, version in sorted(sets))
        raise UserError(
            f"{label}: its functions cannot be brought to the operator set of the model "
            f"({listed}): {first_line(error)}; export it with one operator set for all"
        ) from error


def _key(item: onnx.FunctionProto | onnx.NodeProto) -> _Key:
    name = item.op_type if isinstance(item, onnx.NodeProto) else item.name
    return item.domain, name, item.overload


class _Count:
    """How many nodes a list of nodes stands for, functions of the file counted as their bodies."""

    def __init__(self, functions: dict[_Key, onnx.FunctionProto], label: str) -> None:
        self._functions = functions
        self._label = label
        self._known: dict[_Key, int] = {}
        self._open: list[_Key] = []  # the functions whose bodies are being counted

    def of(self, nodes: Iterable[onnx.NodeProto]) -> int:
        return sum(map(self._node, nodes))

    def _node(self, node: onnx.NodeProto) -> int:
        inside = 1
        for attribute in node.attribute:
            graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
            inside += sum(self.of(graph.node) for graph in graphs)
        key = _key(node)
        if key not in self._functions:
            return inside
        if key in self._open:
            raise UserError(f"{self._label}: its function {node.op_type!r} calls itself")
        if key not in self._known:
            self._open.append(key)
            self._known[key] = self.of(self._functions[key].node)
            self._open.pop()
        return inside + self._known[key]
