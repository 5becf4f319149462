"""Nodes from elsewhere, a branch or the definition of an operator, in the place of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from .constants import Constants
from .graph_nodes import inner_graphs


def spliced(
    nodes: Iterable[onnx.NodeProto],
    names: Mapping[str, str],
    constants: Constants,
    prefix: str = "",
) -> list[onnx.NodeProto]:
    """Copies of `nodes`, with tensors renamed as `names` says.

    What else they make gets a name that the graph does not use yet, behind `prefix`.
    """
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    made = {name for node in copies for name in node.output if name}
    renamed = dict(names)
    for name in sorted(made - set(names)):
        renamed[name] = constants.fresh(prefix + name)
    for node in copies:
        _rename(node, renamed)
    return copies


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for inner in inner_graphs(node):
        own = {value.name for value in (*inner.input, *inner.initializer)}
        own.update(name for inside in inner.node for name in inside.output)
        outer = {old: new for old, new in names.items() if old not in own}
        for inside in inner.node:
            _rename(inside, outer)
        for value in inner.output:
            value.name = outer.get(value.name, value.name)
