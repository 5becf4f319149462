"""uint8 quantization as int8: the same real numbers, every integer and zero point less 128.

The later stages know only int8.  ONNX Runtime's quantizer writes uint8 activations by default.

    QuantizeLinear(x, s, z: uint8) + 128-shift  ==  QuantizeLinear(x, s, z - 128: int8)

holds bit by bit, saturation included.  Tensors are converted together with all others that the
same values flow through (pooling maximum, reshaping, concatenation, ...).  A group is left alone if
a value of it enters or leaves the model, or meets an operator that looks at the integers.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from .constants import Constants

# Operators that commute with a shift of their data.  Values: positions of the data inputs, None
# for all of them.
_SHIFT_INVARIANT: dict[str, tuple[int, ...] | None] = {
    "Concat": None,
    "DepthToSpace": (0,),
    "Expand": (0,),
    "Flatten": (0,),
    "Gather": (0,),
    "Identity": (0,),
    "MaxPool": (0,),
    "Pad": (0, 2),
    "Reshape": (0,),
    "Slice": (0,),
    "SpaceToDepth": (0,),
    "Split": (0,),
    "Squeeze": (0,),
    "Tile": (0,),
    "Transpose": (0,),
    "Unsqueeze": (0,),
}
_UINT8 = onnx.TensorProto.UINT8


def unsigned_to_signed(graph: onnx.GraphProto) -> None:
    """Rewrite `graph` in place; value_info, whose types would be stale, is dropped."""
    groups = _Groups(graph)
    constants = groups.constants
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and groups.convertible(node.output[0]):
            _shift_zero_point(node, constants)
            for attribute in list(node.attribute):
                if attribute.name == "output_dtype":
                    node.attribute.remove(attribute)
        elif node.op_type == "DequantizeLinear" and groups.convertible(node.input[0]):
            _shift_zero_point(node, constants)
        elif node.op_type == "Pad" and groups.convertible(node.input[0]):
            _state_padding(node, constants)
        elif node.op_type == "Constant" and groups.convertible(node.output[0]):
            for attribute in node.attribute:
                if attribute.name == "value":
                    _shift(attribute.t)
    for name, tensor in initializers.items():
        if groups.convertible(name):
            _shift(tensor)
    del graph.value_info[:]


class _Groups:
    """Tensors joined by operators that pass values through, and whether each may be shifted."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants = Constants(graph)
        self._parent: dict[str, str] = {}
        self._refused: set[str] = set()
        unsigned: set[str] = {t.name for t in graph.initializer if t.data_type == _UINT8}
        fixed = {value.name for value in (*graph.input, *graph.output)}
        fixed -= {tensor.name for tensor in graph.initializer}
        for value in graph.input:
            if value.type.tensor_type.elem_type == _UINT8 and value.name in fixed:
                unsigned.add(value.name)
        for node in graph.node:
            unsigned.update(self._unsigned_outputs(node, unsigned))
        self._unsigned = unsigned
        for name in unsigned & fixed:
            self._refuse(name)
        for node in graph.node:
            self._visit(node)
        self._bad = {self._find(name) for name in self._refused}

    def convertible(self, name: str) -> bool:
        return name in self._unsigned and self._find(name) not in self._bad

    def _unsigned_outputs(self, node: onnx.NodeProto, unsigned: set[str]) -> list[str]:
        if node.op_type == "QuantizeLinear":
            if len(node.input) > 2 and node.input[2]:
                kind = self.constants.element_type(node.input[2])
            else:
                kind = next(
                    (a.i for a in node.attribute if a.name == "output_dtype" and a.i), _UINT8
                )
            return [node.output[0]] if kind == _UINT8 else []
        if node.op_type == "Constant":
            return [n for n in node.output if self.constants.element_type(n) == _UINT8]
        if node.op_type == "DynamicQuantizeLinear":
            return [node.output[0], node.output[2]]
        if node.op_type in _SHIFT_INVARIANT and node.input and node.input[0] in unsigned:
            return _data_outputs(node)
        return []

    def _visit(self, node: onnx.NodeProto) -> None:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            quantized = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
            for zero_point in [name for name in node.input[2:3] if name]:
                # Shared by tensors that are shifted and others, so it gets a shifted copy instead.
                self._refuse(zero_point)
                if zero_point not in self.constants:
                    self._refuse(quantized)
            return
        if node.op_type == "Constant":
            return
        if node.op_type in ("ArgMax", "ArgMin", "Shape"):
            return
        if node.op_type in _SHIFT_INVARIANT and node.input[0] in self._unsigned:
            positions = _SHIFT_INVARIANT[node.op_type]
            data = [
                name
                for position, name in enumerate(node.input)
                if name and (positions is None or position in positions)
            ]
            for name in (*data[1:], *_data_outputs(node)):
                self._join(data[0], name)
            others = set(node.input) - set(data)
        else:
            others = {*node.input, *node.output}
        for name in others & self._unsigned:
            self._refuse(name)

    def _refuse(self, name: str) -> None:
        self._refused.add(name)

    def _find(self, name: str) -> str:
        while self._parent.get(name, name) != name:
            name = self._parent[name]
        return name

    def _join(self, a: str, b: str) -> None:
        self._parent[self._find(a)] = self._find(b)


def _data_outputs(node: onnx.NodeProto) -> list[str]:
    # MaxPool's second output is indices.
    return [node.output[0]] if node.op_type == "MaxPool" else list(node.output)


def _shift_zero_point(node: onnx.NodeProto, constants: Constants) -> None:
    if len(node.input) > 2 and node.input[2]:
        old = constants.value(node.input[2])
        assert old is not None  # groups with computed zero points are not converted
    else:
        # Left out, it is 0; a scale per channel wants as many of them.
        scale = constants.value(node.input[1])
        old = np.zeros(() if scale is None else scale.shape, "uint8")
    new = (old.astype("int16") - 128).astype("int8")
    name = constants.add(f"{node.output[0]}_zero_point_int8", new)
    inputs = [node.input[0], node.input[1], name]
    del node.input[:]
    node.input.extend(inputs)


def _state_padding(node: onnx.NodeProto, constants: Constants) -> None:
    """Constant padding that is left to its default of 0 must now be -128."""
    mode = next((a.s for a in node.attribute if a.name == "mode"), b"constant")
    if mode != b"constant" or (len(node.input) > 2 and node.input[2]):
        return
    value = constants.add(f"{node.output[0]}_padding_int8", np.array(-128, "int8"))
    inputs = [*node.input[:2], value, *node.input[3:]]
    del node.input[:]
    node.input.extend(inputs)


def _shift(tensor: onnx.TensorProto) -> None:
    values = numpy_helper.to_array(tensor).astype("int16") - 128
    tensor.CopyFrom(numpy_helper.from_array(values.astype("int8"), tensor.name))
