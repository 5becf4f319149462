"""Small quantized ONNX models: a builder that names what it adds."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "float32": TensorProto.FLOAT,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
}


class QDQModel:
    """Collects nodes and constants; every method that adds a tensor returns its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], shape))
        return name

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        output = f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def quantize(self, data: str, scale: float, zero_point: np.generic) -> str:
        parameters = self.constant(np.float32(scale)), self.constant(zero_point)
        return self.node("QuantizeLinear", data, *parameters)

    def dequantize(
        self,
        data: str,
        scale: float | np.ndarray,
        zero_point: np.ndarray | np.generic,
        axis: int = 1,
    ) -> str:
        parameters = self.constant(np.asarray(scale, np.float32)), self.constant(zero_point)
        return self.node("DequantizeLinear", data, *parameters, axis=axis)

    def rounded(self, data: str, scale: float, zero_point: np.generic) -> str:
        """`data` quantized and back."""
        return self.dequantize(self.quantize(data, scale, zero_point), scale, zero_point)

    def build(self, **outputs: tuple[str, str]) -> onnx.ModelProto:
        """The model; outputs by name are a tensor and its type."""
        nodes = [
            *self._nodes,
            *(helper.make_node("Identity", [of], [name]) for name, (of, _) in outputs.items()),
        ]
        ports = [
            helper.make_tensor_value_info(name, TYPES[dtype], None)
            for name, (_, dtype) in outputs.items()
        ]
        graph = helper.make_graph(nodes, "model", self._inputs, ports, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
