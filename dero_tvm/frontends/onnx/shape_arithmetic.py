"""Shape arithmetic whose result is known: computed once, before the import.

PyTorch's older exporter writes the amounts of a Pad as a chain of nine nodes, some of which read
the shapes of activations, and TVM's importer wants them as a constant.  Every node that reads
integers or shapes which are known, and computes integers, becomes an initializer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import shape_inference
from onnx.reference import ReferenceEvaluator

from .constants import Constants
from .sequences import spell_out_sequences

_OPERATORS = frozenset(
    "Abs Add Cast Concat ConstantOfShape Div Equal Expand Gather Identity Max Min Mod Mul Neg "
    "Range ReduceProd Reshape Slice Squeeze Sub Tile Transpose Unsqueeze Where".split()
)
_KINDS = "bi"  # booleans are what integers were compared for
_ASKING = ("Shape", "SplitToSequence")  # for the shape of an activation
_MOST_ELEMENTS = 1024  # of what is arithmetic on shapes, and not on data


def fold_shape_arithmetic(model: onnx.ModelProto, opset: int) -> None:
    """Replace the nodes of `model` that compute known integers by their results, in place."""
    # The amounts of one padding may be computed from the shape behind another.
    while _fold_once(model, opset) | spell_out_sequences(model.graph, opset, _shapes(model)):
        if not any(node.op_type in _ASKING for node in model.graph.node):
            return


def _fold_once(model: onnx.ModelProto, opset: int) -> bool:
    """Whether anything was replaced."""
    graph = model.graph
    constants = Constants(graph)
    shapes = _shapes(model)
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        result = None
        if node.domain in ("", "ai.onnx") and node.output and node.output[0] not in outputs:
            if node.op_type == "Shape" and not node.attribute:
                result = shapes.get(node.input[0])
            elif node.op_type in _OPERATORS:
                result = _value(node, constants, opset)
        if result is None:
            kept.append(node)
        else:
            constants.define(node.output[0], result)
    changed = len(kept) < len(graph.node)
    if changed:
        del graph.node[:]
        graph.node.extend(kept)
    return changed


def _shapes(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The shapes of activations that are known, if any node asks for one."""
    if not any(node.op_type in _ASKING for node in model.graph.node):
        return {}
    graph = shape_inference.infer_shapes(model).graph
    known = {}
    for value in (*graph.input, *graph.value_info):
        tensor = value.type.tensor_type
        dims = [dim.dim_value for dim in tensor.shape.dim]
        if tensor.HasField("shape") and all(dims):
            known[value.name] = np.array(dims, np.int64)
    return known


def _value(node: onnx.NodeProto, constants: Constants, opset: int) -> np.ndarray | None:
    """What `node` computes; None if that is not known, no integers, or too many."""
    feeds: dict[str, Any] = {}
    for name in [str(name) for name in node.input]:
        if not name:
            continue
        value = constants.value(name) if constants.size(name) <= _MOST_ELEMENTS else None
        if value is None or value.dtype.kind not in _KINDS:
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
    outputs: Any = evaluator.run(None, feeds)
    result = np.asarray(outputs[0])
    return result if result.dtype.kind in _KINDS and result.size <= _MOST_ELEMENTS else None
