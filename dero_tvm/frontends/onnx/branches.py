"""If nodes whose condition is known: the nodes of the branch that is taken, in their place.

PyTorch's exporter writes `squeeze` of a tensor whose shape it has lost track of as a question about
that shape with a branch for each answer; where shapes are fixed, one answer is left.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from .constants import Constants
from .graph_nodes import inner_graphs


def taken_branch(node: onnx.NodeProto, constants: Constants) -> list[onnx.NodeProto] | None:
    """What stands for an If node; None if it is no such node, or decided at run time.

    Tensors inside get names that the graph does not use yet, initializers of the branch become
    Constant nodes, and its results have the names of the node's.
    """
    if node.op_type != "If" or node.domain not in ("", "ai.onnx") or len(node.input) != 1:
        return None
    condition = constants.value(node.input[0])
    if condition is None or condition.size != 1:
        return None
    wanted = "then_branch" if condition.item() else "else_branch"
    branch = next((a.g for a in node.attribute if a.name == wanted and a.HasField("g")), None)
    if branch is None or len(branch.output) < len(node.output):
        return None
    return _spliced(branch, list(node.output), constants)


def _spliced(
    branch: onnx.GraphProto, results: list[str], constants: Constants
) -> list[onnx.NodeProto]:
    made = {name for node in branch.node for name in node.output if name}
    names: dict[str, str] = {}
    for value, result in zip(branch.output, results):
        if result and value.name in made and value.name not in names:
            names[value.name] = result
    held = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in branch.initializer
    ]
    made.update(tensor.name for tensor in branch.initializer)
    for name in sorted(made - set(names)):
        names[name] = constants.fresh(name)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in branch.node]
    nodes = held + copies
    for node in nodes:
        _rename(node, names)
    for value, result in zip(branch.output, results):
        source = names.get(value.name, value.name)
        if result and source != result:  # from outside, a constant, or a result twice
            nodes.append(onnx.helper.make_node("Identity", [source], [result]))
    return nodes


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
