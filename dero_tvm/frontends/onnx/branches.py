"""If nodes whose condition is known: the nodes of the branch that is taken, in their place.

PyTorch's exporter writes `squeeze` of a tensor whose shape it has lost track of as a question about
that shape with a branch for each answer; where shapes are fixed, one answer is left.
"""

from __future__ import annotations

import onnx

from .constants import Constants
from .splicing import spliced


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
    return _in_place(branch, list(node.output), constants)


def _in_place(
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
    inside = [*held, *branch.node]
    nodes = spliced(inside, names, constants)
    renamed = {
        old: new for node, copy in zip(inside, nodes) for old, new in zip(node.output, copy.output)
    }
    for value, result in zip(branch.output, results):
        source = renamed.get(value.name, value.name)
        if result and source != result:  # from outside, a constant, or a result twice
            nodes.append(onnx.helper.make_node("Identity", [source], [result]))
    return nodes
