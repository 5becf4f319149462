"""QOperator models in QDQ form.

An operator on quantized tensors (QLinearConv, QLinearAdd, ...) becomes

    DequantizeLinear of each operand -> the float operator -> QuantizeLinear

which means the same and is the only form that the later stages need to know.

What ONNX's own operators cannot say goes along as an attribute, which the import of a node reads
(`nodes`): `channels_last` of convolutions and poolings, and the `opset` whose Softmax is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .constants import Constants
from .graph_nodes import attributes_of, replace_nodes

_CONTRIB = "com.microsoft"


class UnsupportedForm(Exception):
    """A quantized operator with attributes or operands that cannot be rewritten; names the node."""


def qoperators_to_qdq(graph: onnx.GraphProto) -> None:
    """Rewrite `graph` in place.

    Raises :class:`UnsupportedForm` for a node that has no such form.
    """
    rewriter = _Rewriter(graph)
    for node in list(graph.node):
        rule = _RULES.get(node.op_type)
        if rule is not None:
            rule(rewriter, node)
            continue
        if node.domain == _CONTRIB and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.domain = ""
        rewriter.nodes.append(node)
    replace_nodes(graph, rewriter.nodes)


class _Rewriter:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = Constants(graph)
        self.nodes: list[onnx.NodeProto] = []

    def emit(
        self, op: str, inputs: Sequence[str], output: str, name: str, **attributes: Any
    ) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attributes))
        return output

    def dequantize(
        self, node: onnx.NodeProto, data: str, scale: str, zero_point: str, axis: int | None = None
    ) -> str:
        values = self.constants.value(scale)
        attributes = {}
        if axis is not None and (values is None or values.size > 1):
            attributes["axis"] = axis
        inputs = [data, scale] + ([zero_point] if zero_point else [])
        output = self.constants.fresh(f"{data}_float")
        return self.emit(
            "DequantizeLinear", inputs, output, f"{node.name}_dequantize_{output}", **attributes
        )

    def quantize(self, node: onnx.NodeProto, data: str, scale: str, zero_point: str) -> None:
        inputs = [data, scale] + ([zero_point] if zero_point else [])
        self.emit("QuantizeLinear", inputs, node.output[0], f"{node.name}_quantize")

    def float_operator(
        self, node: onnx.NodeProto, op: str, inputs: Sequence[str], **attributes: Any
    ) -> str:
        output = self.constants.fresh(f"{node.output[0]}_float")
        return self.emit(op, inputs, output, node.name, **attributes)

    def known(self, node: onnx.NodeProto, name: str) -> np.ndarray:
        value = self.constants.value(name)
        if value is None:
            raise UnsupportedForm(
                f"{node.op_type} (node {node.name!r}) has the scale {name!r}, which is computed "
                "at run time"
            )
        return value


Rule = Callable[[_Rewriter, onnx.NodeProto], None]


def _inputs(node: onnx.NodeProto, count: int) -> list[str]:
    """Its inputs, with "" for those left out at the end."""
    return [*node.input, *[""] * (count - len(node.input))]


def _bias(r: _Rewriter, node: onnx.NodeProto, bias: str, scale: np.ndarray, axis: int) -> list[str]:
    """The int32 bias as float; its scale is that of the accumulator."""
    if not bias:
        return []
    scale = np.asarray(scale, "float32")
    name = r.constants.add(
        f"{bias}_scale", scale.reshape(-1) if scale.size > 1 else scale.reshape(())
    )
    return [r.dequantize(node, bias, name, "", axis)]


def _conv(r: _Rewriter, node: onnx.NodeProto) -> None:
    x, xs, xz, w, ws, wz, ys, yz, b = _inputs(node, 9)
    bias = _bias(r, node, b, r.known(node, xs) * r.known(node, ws), 0) if b else []
    operands = [r.dequantize(node, x, xs, xz), r.dequantize(node, w, ws, wz, axis=0), *bias]
    r.quantize(node, r.float_operator(node, "Conv", operands, **attributes_of(node)), ys, yz)


def _matmul(r: _Rewriter, node: onnx.NodeProto) -> None:
    a, a_scale, az, b, bs, bz, ys, yz = _inputs(node, 8)
    weights = r.constants.value(b)
    axis = 1 if weights is None else weights.ndim - 1
    operands = [r.dequantize(node, a, a_scale, az), r.dequantize(node, b, bs, bz, axis=axis)]
    r.quantize(node, r.float_operator(node, "MatMul", operands), ys, yz)


def _gemm(r: _Rewriter, node: onnx.NodeProto) -> None:
    a, a_scale, az, b, bs, bz, c, ys, yz = _inputs(node, 9)
    attributes = attributes_of(node)
    alpha = attributes.get("alpha", 1.0)
    bias = []
    if c:
        bias = _bias(r, node, c, alpha * r.known(node, a_scale) * r.known(node, bs), -1)
    axis = 0 if attributes.get("transB", 0) else 1
    operands = [r.dequantize(node, a, a_scale, az), r.dequantize(node, b, bs, bz, axis=axis), *bias]
    out = r.float_operator(node, "Gemm", operands, **attributes)
    if ys:
        r.quantize(node, out, ys, yz)
    else:  # without an output scale the result stays float
        r.emit("Identity", [out], node.output[0], f"{node.name}_output")


def _binary(op: str) -> Rule:
    def rule(r: _Rewriter, node: onnx.NodeProto) -> None:
        a, a_scale, az, b, bs, bz, ys, yz = _inputs(node, 8)
        operands = [r.dequantize(node, a, a_scale, az), r.dequantize(node, b, bs, bz)]
        r.quantize(node, r.float_operator(node, op, operands), ys, yz or az)

    return rule


def _unary(op: str) -> Rule:
    def rule(r: _Rewriter, node: onnx.NodeProto) -> None:
        x, xs, xz, ys, yz = _inputs(node, 5)
        attributes = attributes_of(node)
        if not attributes.get("channels_last", 0):
            attributes.pop("channels_last", None)
        out = r.float_operator(node, op, [r.dequantize(node, x, xs, xz)], **attributes)
        r.quantize(node, out, ys, yz or xz)

    return rule


def _softmax(r: _Rewriter, node: onnx.NodeProto) -> None:
    # Its own `opset` attribute says which of the two meanings of Softmax it has: up to 12, all
    # axes from `axis` on are one.  Without `axis` ONNX Runtime takes the last in both.
    attributes = {"axis": -1, "opset": 13, **attributes_of(node)}
    if attributes["axis"] == -1:  # the last alone, in every set
        del attributes["opset"]
    x, xs, xz, ys, yz = _inputs(node, 5)
    out = r.float_operator(node, "Softmax", [r.dequantize(node, x, xs, xz)], **attributes)
    r.quantize(node, out, ys, yz or xz)


def _max_pool(r: _Rewriter, node: onnx.NodeProto) -> None:
    """Of the integers as they are."""
    attributes = {**attributes_of(node), "channels_last": 1}
    r.emit("MaxPool", node.input, node.output[0], node.name, **attributes)


def _concat(r: _Rewriter, node: onnx.NodeProto) -> None:
    ys, yz, *parts = node.input
    operands = [r.dequantize(node, *parts[i : i + 3]) for i in range(0, len(parts), 3)]
    r.quantize(node, r.float_operator(node, "Concat", operands, **attributes_of(node)), ys, yz)


def _where(r: _Rewriter, node: onnx.NodeProto) -> None:
    condition, a, a_scale, az, b, bs, bz, ys, yz = _inputs(node, 9)
    operands = [condition, r.dequantize(node, a, a_scale, az), r.dequantize(node, b, bs, bz)]
    r.quantize(node, r.float_operator(node, "Where", operands), ys, yz)


def _conv_integer(r: _Rewriter, node: onnx.NodeProto) -> None:
    """Differences from the zero points, convolved in float: whole numbers, exact up to 2**24."""
    x, w, xz, wz = _inputs(node, 4)
    one = r.constants.add(f"{node.name}_unit_scale", np.array(1.0, "float32"))
    values = r.constants.value(wz) if wz else None
    wide = values is not None and values.size > 1
    scale = one
    if wide and values is not None:
        scale = r.constants.add(f"{node.name}_unit_scales", np.ones(values.size, "float32"))
    operands = [
        r.dequantize(node, x, one, xz),
        r.dequantize(node, w, scale, wz, axis=0 if wide else None),
    ]
    _whole(r, node, r.float_operator(node, "Conv", operands, **attributes_of(node)))


def _matmul_integer(r: _Rewriter, node: onnx.NodeProto) -> None:
    """Likewise, by constant weights whose sums are exact; others are left to TVM's importer."""
    a, b, az, bz = _inputs(node, 4)
    weights = r.constants.value(b)
    zeros, row_zeros = (r.constants.value(z) if z else np.array(0) for z in (bz, az))
    if weights is None or zeros is None or row_zeros is None:
        r.nodes.append(node)
        return
    if row_zeros.size > 1 or not _is_exact(weights, zeros):
        r.nodes.append(node)
        return
    one = r.constants.add(f"{node.name}_unit_scale", np.array(1.0, "float32"))
    scales = np.ones(zeros.size, "float32") if zeros.size > 1 else np.array(1.0, "float32")
    units = r.constants.add(f"{node.name}_unit_scales", scales)
    axis = 1 if zeros.size > 1 else None
    operands = [r.dequantize(node, a, one, az), r.dequantize(node, b, units, bz, axis)]
    _whole(r, node, r.float_operator(node, "MatMul", operands))


def _is_exact(weights: np.ndarray, zeros: np.ndarray) -> bool:
    """Whether float32 holds every sum of 8-bit numbers times the columns of a matrix."""
    if weights.ndim != 2:
        return False
    moved = weights.astype(np.int64) - zeros.astype(np.int64).reshape(-1)
    return bool(255 * np.abs(moved).sum(axis=0).max(initial=0) < 1 << 24)


def _whole(r: _Rewriter, node: onnx.NodeProto, sums: str) -> None:
    """Floating-point sums as the int32 that they stand for, unless it is made float at once."""
    (result,) = node.output
    readers = [other for other in r.graph.node if result in other.input]
    read_as_float = all(
        other.op_type == "Cast" and attributes_of(other)["to"] == onnx.TensorProto.FLOAT
        for other in readers
    )
    if readers and read_as_float and all(port.name != result for port in r.graph.output):
        for other in readers:
            other.input[0] = sums
        return
    rounded = r.emit("Round", [sums], r.constants.fresh(f"{sums}_rounded"), f"{node.name}_round")
    r.emit("Cast", [rounded], result, f"{node.name}_cast", to=onnx.TensorProto.INT32)


_RULES: dict[str, Rule] = {
    "ConvInteger": _conv_integer,
    "MatMulInteger": _matmul_integer,
    "NhwcMaxPool": _max_pool,
    "QGemm": _gemm,
    "QLinearAdd": _binary("Add"),
    "QLinearAveragePool": _unary("AveragePool"),
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearLeakyRelu": _unary("LeakyRelu"),
    "QLinearMatMul": _matmul,
    "QLinearMul": _binary("Mul"),
    "QLinearSigmoid": _unary("Sigmoid"),
    "QLinearSoftmax": _softmax,
    "QLinearWhere": _where,
}

QOPERATORS = frozenset(_RULES)
