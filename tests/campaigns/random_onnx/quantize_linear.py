"""Quantized tensors in a float network: QuantizeLinear and DequantizeLinear around its operators.

    Conv(x, w, b)   ->   dq(q(Conv(dq(x'), dq(w'), dq(b'))))

Every tensor gets a scale, a zero point and a type of its own, drawn at random around the range
that its values have; the results of operators that only move elements mostly those of their data.
Some results stay in float, as between a convolution and its activation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEAST_OPSET = 13  # with scales for each channel
_WEIGHTED = {"Conv": 0, "ConvTranspose": None, "Gemm": None, "MatMul": None}  # channels' axis
_MOVING = {
    *("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather"),
    *("Tile", "Expand", "DepthToSpace", "SpaceToDepth", "MaxPool", "GlobalMaxPool", "Identity"),
}


@dataclass(frozen=True)
class _Step:
    scale: np.float32
    zero_point: int
    dtype: str


def with_quantized_tensors(
    model: onnx.ModelProto, values: Mapping[str, np.ndarray], chance: random.Random
) -> onnx.ModelProto:
    """`model` quantized; `values` are those of its tensors for some input."""
    return _Quantizer(model, values, chance).run()


class _Quantizer:
    def __init__(self, model, values, chance) -> None:
        self.model, self.values, self.random = model, values, chance
        self.kind = chance.choice(("int8", "int8", "int8", "uint8"))
        self.nodes: list[onnx.NodeProto] = []
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.steps: dict[str, _Step] = {}  # of dequantized tensors, by the new name
        self.names: dict[str, str] = {}  # tensor -> what now stands for it

    def run(self) -> onnx.ModelProto:
        whole_ports = self.random.random() < 0.5
        inputs = [self.input(port, whole_ports) for port in self.model.graph.input]
        for node in self.model.graph.node:
            self.node(node)
        outputs = [self.output(port.name, whole_ports) for port in self.model.graph.output]
        used = {name for node in self.nodes for name in node.input}
        constants = {name: array for name, array in self.constants.items() if name in used}
        graph = helper.make_graph(
            self.nodes,
            "random",
            inputs,
            outputs,
            [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version
        )

    # --- tensors -----------------------------------------------------------------------------

    def input(self, port: onnx.ValueInfoProto, whole: bool) -> onnx.ValueInfoProto:
        step, shape = self.step(port.name), self.values[port.name].shape
        if whole:
            self.names[port.name] = self.dequantized(port.name, step)
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(step.dtype))
            return helper.make_tensor_value_info(port.name, kind, shape)
        self.names[port.name] = self.dequantized(self.quantized(port.name, step), step)
        return helper.make_tensor_value_info(port.name, TensorProto.FLOAT, shape)

    def output(self, name: str, whole: bool) -> onnx.ValueInfoProto:
        """The integers themselves or what they stand for; a float result as it is."""
        dtype, last = self.values[name].dtype, self.names.get(name, name)
        if last in self.steps and whole:
            last, dtype = last.removesuffix("_dq"), np.dtype(self.steps[last].dtype)
        kind = helper.np_dtype_to_tensor_dtype(dtype)
        return helper.make_tensor_value_info(last, kind, self.values[name].shape)

    def step(self, name: str) -> _Step:
        """A scale and a zero point that more or less cover the values of a tensor."""
        values, chance = self.values[name], self.random
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        if self.kind == "int8" and chance.random() < 0.3:
            scale, zero_point = max(-low, high) / 127, 0
        else:
            scale = (high - low) / 255
            zero_point = -128 - round(low / scale) if scale else 3
        scale = scale * chance.uniform(0.8, 1.25) or 0.05
        zero_point = max(-128, min(zero_point, 127)) + 128 * (self.kind == "uint8")
        return _Step(np.float32(scale), zero_point, self.kind)

    def quantized(self, name: str, step: _Step) -> str:
        result = f"{name}_q"
        self.nodes.append(
            helper.make_node("QuantizeLinear", [name, *self.parameters(result, step)], [result])
        )
        return result

    def dequantized(self, name: str, step: _Step) -> str:
        result = f"{name}_dq"
        self.nodes.append(
            helper.make_node("DequantizeLinear", [name, *self.parameters(name, step)], [result])
        )
        self.steps[result] = step
        return result

    def parameters(self, name: str, step: _Step) -> list[str]:
        self.constants[f"{name}_scale"] = np.array(step.scale, "float32")
        self.constants[f"{name}_zero"] = np.array(step.zero_point, step.dtype)
        return [f"{name}_scale", f"{name}_zero"]

    # --- nodes -------------------------------------------------------------------------------

    def node(self, node: onnx.NodeProto) -> None:
        operands = [self.names.get(name, name) for name in node.input]
        if node.op_type in _WEIGHTED and node.input[1] in self.constants:
            self.weights(node, operands)
        else:
            for i, name in enumerate(node.input):
                if i and self.joined(node, name):
                    operands[i] = self.constant(name)
        copy = helper.make_node(node.op_type, operands, node.output, node.name)
        copy.attribute.extend(node.attribute)
        self.nodes.append(copy)
        data = self.steps.get(operands[0])
        for name in node.output:
            if self.values[name].dtype != np.float32 or self.stays_float(node):
                continue
            moved = node.op_type in _MOVING and data is not None and self.random.random() < 0.8
            step = data if moved else self.step(name)
            self.names[name] = self.dequantized(self.quantized(name, step), step)

    def stays_float(self, node: onnx.NodeProto) -> bool:
        """Mostly what is between an operator with weights and its only reader, an activation."""
        readers = [n for n in self.model.graph.node if set(node.output) & set(n.input)]
        if len(readers) == 1 and readers[0].op_type in ("Relu", "Clip", "BatchNormalization"):
            return self.random.random() < 0.7
        return self.random.random() < 0.05

    def joined(self, node: onnx.NodeProto, name: str) -> bool:
        """A constant that is data, as opposed to a parameter of the operator."""
        kinds = ("Add", "Sub", "Mul", "Sum", "Max", "Min", "Mean", "Concat")
        known = name in self.constants and name not in self.names
        return node.op_type in kinds and known and self.random.random() < 0.8

    def constant(self, name: str) -> str:
        step, limits = self.step(name), np.iinfo(self.kind)
        whole = np.rint(self.constants[name] / step.scale) + step.zero_point
        self.constants[f"{name}_q"] = np.clip(whole, limits.min, limits.max).astype(self.kind)
        return self.dequantized(f"{name}_q", step)

    def weights(self, node: onnx.NodeProto, operands: list[str]) -> None:
        """int8 with one scale, or one a channel; the bias in steps of the products."""
        name, axis = node.input[1], _WEIGHTED[node.op_type]
        values = self.constants[name]
        axis = axis if self.random.random() < 0.6 else None
        others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
        scale = (np.abs(values).max(others) / 127 + 1e-6).astype("float32")
        spread = scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        whole = np.rint(values / (scale if axis is None else spread)).astype("int8")
        operands[1] = self.per_channel(f"{name}_{node.name}", whole, scale, axis)
        data = self.steps.get(operands[0])
        factors = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if len(operands) > 2 and data is not None and factors.get("beta", 1.0) == 1.0:
            values = self.constants[node.input[2]]
            if axis is not None and values.shape != scale.shape:
                return
            unit = (data.scale * scale).astype("float32")
            whole = np.rint(values / unit).astype("int32")
            operands[2] = self.per_channel(f"bias_{node.name}", whole, unit, axis)

    def per_channel(self, name: str, whole: np.ndarray, scale: np.ndarray, axis: int | None) -> str:
        """A dequantized constant."""
        self.constants[name] = whole
        self.constants[f"{name}_scale"] = np.asarray(scale, "float32")
        self.constants[f"{name}_zero"] = np.zeros(np.shape(scale), whole.dtype)
        attributes = {} if axis is None else {"axis": 0 if whole.ndim == 1 else axis}
        operands = [name, f"{name}_scale", f"{name}_zero"]
        node = helper.make_node("DequantizeLinear", operands, [f"{name}_dq"], **attributes)
        self.nodes.append(node)
        return f"{name}_dq"
