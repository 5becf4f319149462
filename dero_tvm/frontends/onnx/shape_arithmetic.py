"""Shape arithmetic whose result is known: computed once, before the import.

PyTorch's older exporter writes the amounts of a Pad as a chain of nine nodes on constants, and
TVM's importer wants them as a constant.  Every node that reads integers which are known, and
computes integers, becomes an initializer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from .constants import Constants

_OPERATORS = frozenset(
    "Add Cast Concat ConstantOfShape Div Expand Gather Identity Mul Range Reshape Slice Squeeze "
    "Sub Transpose Unsqueeze".split()
)
_MOST_ELEMENTS = 1024  # of what is arithmetic on shapes, and not on data


def fold_shape_arithmetic(graph: onnx.GraphProto, opset: int) -> None:
    """Replace the nodes of `graph` that compute known integers by their results, in place."""
    constants = Constants(graph)
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        result = None
        if node.op_type in _OPERATORS and node.domain in ("", "ai.onnx"):
            result = _value(node, constants, opset)
        if result is None or node.output[0] in outputs:
            kept.append(node)
        else:
            constants.define(node.output[0], result)
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _value(node: onnx.NodeProto, constants: Constants, opset: int) -> np.ndarray | None:
    """What `node` computes; None if that is not known, no integers, or too many."""
    feeds: dict[str, Any] = {}
    for name in filter(None, node.input):
        value = constants.value(name) if constants.size(name) <= _MOST_ELEMENTS else None
        if value is None or value.dtype.kind != "i":
            return None
        feeds[name] = value
    if not feeds:
        return None
    evaluator = ReferenceEvaluator(
        onnx.helper.make_model(
            onnx.helper.make_graph(
                [node],
                "constant",
                [onnx.ValueInfoProto(name=name) for name in feeds],
                [onnx.ValueInfoProto(name=node.output[0])],
            ),
            opset_imports=[onnx.helper.make_opsetid("", opset)],
        )
    )
    result = np.asarray(evaluator.run(None, feeds)[0])
    return result if result.dtype.kind == "i" and result.size <= _MOST_ELEMENTS else None
