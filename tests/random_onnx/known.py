"""Faults that are known and not mended yet: networks with them are left out.

Each has a name and a condition as narrow as can be; once mended, its condition goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import helper, numpy_helper, shape_inference

Shapes = Mapping[str, tuple[int, ...]]
Condition = Callable[[onnx.NodeProto, dict, Shapes], bool]


def known_fault(model: onnx.ModelProto) -> str | None:
    """The name of a known fault that the network would show, None if there is none."""
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    for port in (*inferred.value_info, *inferred.input, *inferred.output):
        dims = port.type.tensor_type.shape.dim
        shapes[port.name] = tuple(dim.dim_value for dim in dims)
    dequantized: set[str] = set()  # constants, behind DequantizeLinear
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type.startswith("Reduce") and len(node.input) > 1:
            attributes["axes"] = constants[node.input[1]].tolist()
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            dequantized.update(node.output)
        attributes["dequantized"] = dequantized
        for name, condition in _CONDITIONS.items():
            if condition(node, attributes, shapes):
                return name
    return None


def _single_maximum(node: onnx.NodeProto, attributes: dict, shapes: Shapes) -> bool:
    """The C keeps the maximum of the element before."""
    data = shapes.get(node.input[0], ())
    if node.op_type == "MaxPool":
        windows = zip(attributes["kernel_shape"], data[2:])
        return all(1 in window for window in windows)
    if node.op_type == "GlobalMaxPool":
        return all(length == 1 for length in data[2:])
    if node.op_type in ("ReduceMax", "ReduceMin"):
        axes = attributes.get("axes", range(len(data)))
        return all(data[axis] == 1 for axis in axes)
    return False


def _padded_by_rule(node: onnx.NodeProto, attributes: dict, shapes: Shapes) -> bool:
    """The amounts are computed otherwise, less than none among them."""
    return attributes.get("auto_pad", b"").startswith(b"SAME")


def _norm_rounded_up(node: onnx.NodeProto, attributes: dict, shapes: Shapes) -> bool:
    return node.op_type == "LpPool" and bool(attributes.get("ceil_mode"))


def _linear_upsample(node: onnx.NodeProto, attributes: dict, shapes: Shapes) -> bool:
    """Its pixels are taken for those of a later Resize."""
    return node.op_type == "Upsample" and attributes.get("mode") == b"linear"


def _constant_operand(node: onnx.NodeProto, attributes: dict, shapes: Shapes) -> bool:
    """In a scale of its own it is rescaled in the wrong layout."""
    return node.op_type == "Concat" and not attributes["dequantized"].isdisjoint(node.input)


_CONDITIONS: Mapping[str, Condition] = {
    "maximum of one element": _single_maximum,
    "SAME padding": _padded_by_rule,
    "LpPool with ceil_mode": _norm_rounded_up,
    "linear Upsample": _linear_upsample,
    "Concat with a quantized constant": _constant_operand,
}
