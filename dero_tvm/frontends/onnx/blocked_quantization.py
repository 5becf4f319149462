"""QuantizeLinear and DequantizeLinear with a scale for each block of an axis, as arithmetic.

Weights of language models, and more and more of small networks, are stored like that.  No integer
arithmetic is made of them, so that constants become numbers of floating point right away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from .constants import Constants
from .graph_nodes import attributes_of

_OPERATORS = ("QuantizeLinear", "DequantizeLinear")


def without_blocks(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], constants: Constants
) -> list[onnx.NodeProto] | None:
    """The nodes that stand for `node`; None if it has no blocks, or scales that are computed."""
    attributes = attributes_of(node)
    block = int(attributes.get("block_size", 0))
    if node.op_type not in _OPERATORS or not block or node.input[0] not in types:
        return None
    dims = types[node.input[0]].tensor_type.shape.dim
    axis = int(attributes.get("axis", 1)) % len(dims)
    scale = constants.value(node.input[1])
    zero_point = constants.value(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if scale is None or scale.ndim != len(dims) or (zero_point is None and any(node.input[2:])):
        return None
    length = int(dims[axis].dim_value)

    def for_each(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32).repeat(block, axis).take(range(length), axis)

    if scale.shape[axis] * block < length:
        return None
    factors = constants.add(f"{node.output[0]}_scales", for_each(scale))
    zeros = np.zeros_like(scale) if zero_point is None else zero_point
    offsets = constants.add(f"{node.output[0]}_zero_points", for_each(zeros))
    spelled = _Spelled(node, constants)
    if node.op_type == "DequantizeLinear":
        number = spelled.add("Cast", node.input[0], to=TensorProto.FLOAT)
        spelled.add("Mul", spelled.add("Sub", number, offsets), factors, last=True)
        return spelled.nodes
    kind = int(attributes.get("output_dtype", 0)) or TensorProto.UINT8
    if zero_point is not None:
        kind = constants.element_type(node.input[2]) or kind
    limits = np.iinfo(helper.tensor_dtype_to_np_dtype(kind))
    ends = [
        constants.add(f"{node.output[0]}_end", np.array(end, np.float32))
        for end in (limits.min, limits.max)
    ]
    steps = spelled.add("Round", spelled.add("Div", node.input[0], factors))
    bounded = spelled.add("Clip", spelled.add("Add", steps, offsets), *ends)
    spelled.add("Cast", bounded, last=True, to=kind)
    return spelled.nodes


class _Spelled:
    """Nodes in the place of one, whose name they have."""

    def __init__(self, node: onnx.NodeProto, constants: Constants) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._node = node
        self._constants = constants

    def add(self, operator: str, *operands: str, last: bool = False, **attributes: int) -> str:
        """One more; its result, which is that of the original if it is the last."""
        output = self._node.output[0]
        result = output if last else self._constants.fresh(f"{output}_{operator}")
        made = helper.make_node(operator, operands, [result], name=self._node.name or output)
        made.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.nodes.append(made)
        return result
