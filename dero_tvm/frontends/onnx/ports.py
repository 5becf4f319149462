"""What integer inputs and outputs of an ONNX model stand for."""

from __future__ import annotations

import onnx

from relax_passes.ir.port_quantization import PortQuantization

from .constants import Constants


def quantized_ports(graph: onnx.GraphProto) -> dict[str, PortQuantization]:
    """Inputs that DequantizeLinear reads, and outputs that QuantizeLinear makes, by name."""
    constants = Constants(graph)
    inputs = {value.name for value in graph.input}
    outputs = {value.name for value in graph.output}
    found = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in inputs:
            port = node.input[0]
        elif node.op_type == "QuantizeLinear" and node.output[0] in outputs:
            port = node.output[0]
        else:
            continue
        scale, zero_point = (constants.value(name) for name in [*node.input[1:3], ""][:2])
        if scale is not None and scale.size == 1:
            zero = 0 if zero_point is None else int(zero_point.flat[0])
            found[port] = PortQuantization(float(scale.flat[0]), zero)
    return found
