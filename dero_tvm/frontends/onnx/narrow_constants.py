"""Constants in narrower types than the importer has, where a node makes wider ones of them.

Files are made smaller with weights of float16 or bfloat16 behind Cast, or of 4 bits behind
DequantizeLinear.  The wider type holds the same numbers, so that is what those nodes are given.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .graph_nodes import operands_of

_WIDER: dict[int, tuple[str, type]] = {  # type -> operator that reads it, type that it gets
    TensorProto.FLOAT16: ("Cast", np.float32),
    TensorProto.BFLOAT16: ("Cast", np.float32),
    TensorProto.INT4: ("DequantizeLinear", np.int8),
    TensorProto.UINT4: ("DequantizeLinear", np.uint8),
}


def widen_constants(graph: onnx.GraphProto) -> None:
    """Rewrite initializers of `graph` in place that such nodes alone read."""
    narrow = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type in _WIDER}
    if not narrow:
        return
    kept = {value.name for value in (*graph.output, *graph.input)}
    for node in graph.node:
        for name in operands_of(node):
            if name in narrow and node.op_type != _WIDER[narrow[name].data_type][0]:
                kept.add(name)
    for name in sorted(narrow.keys() - kept):
        tensor = narrow[name]
        wider: np.ndarray = np.asarray(numpy_helper.to_array(tensor), _WIDER[tensor.data_type][1])
        tensor.CopyFrom(numpy_helper.from_array(wider, name))
