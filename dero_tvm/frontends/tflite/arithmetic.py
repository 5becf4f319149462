"""Arithmetic operators that TVM's TFLite importer lacks when quantized, or gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tflite
from tvm import ir, relax

from .constant_shapes import options_of

if TYPE_CHECKING:
    from .converter import Converter

Rule = Callable[["Converter", tflite.Operator], ir.Expr]


def _f32(value: float) -> ir.Expr:
    return relax.const(value, "float32")


def _elu(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def elu(data: ir.Expr) -> ir.Expr:
        # exp of the positive part could overflow.
        negative = relax.op.minimum(data, _f32(0.0))
        return relax.op.add(
            relax.op.nn.relu(data), relax.op.subtract(relax.op.exp(negative), _f32(1.0))
        )

    return converter.through_float(op, elu)


def _gelu(converter: Converter, op: tflite.Operator) -> ir.Expr:
    approximate = options_of(op, tflite.GeluOptions).Approximate()
    return converter.through_float(op, relax.op.nn.gelu_tanh if approximate else relax.op.nn.gelu)


def _square(converter: Converter, op: tflite.Operator) -> ir.Expr:
    return converter.through_float(op, lambda data: relax.op.multiply(data, data))


def _l2_normalization(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def normalize(data: ir.Expr) -> ir.Expr:
        squares = relax.op.sum(relax.op.multiply(data, data), axis=-1, keepdims=True)
        # LiteRT divides by at least this norm.
        norm = relax.op.maximum(relax.op.sqrt(squares), _f32(1e-6))
        return relax.op.divide(data, norm)

    return converter.through_float(op, normalize)


def _prelu(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def prelu(data: ir.Expr, alpha: ir.Expr) -> ir.Expr:
        negative = relax.op.minimum(data, _f32(0.0))
        return relax.op.add(relax.op.nn.relu(data), relax.op.multiply(alpha, negative))

    return converter.through_float(op, prelu, inputs=(0, 1))


def _softmax(converter: Converter, op: tflite.Operator) -> ir.Expr:
    beta = options_of(op, tflite.SoftmaxOptions).Beta()

    def softmax(data: ir.Expr) -> ir.Expr:
        if beta != 1.0:
            data = relax.op.multiply(data, _f32(beta))
        return relax.op.nn.softmax(data, axis=-1)

    return converter.through_float(op, softmax)


def _fully_connected(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """All leading dimensions together are the batch, unless the weight says they are features."""
    data, weight = converter.get_input_tensors(op)[:2]
    expr = converter.bb.normalize(converter.get_tensor_expr(data))
    shape = converter.static_shape(expr)
    units, depth = converter.get_tensor_shape(weight)
    if len(shape) == 2 and shape[1] == depth:
        return converter.convert_fully_connected(op)
    name = data.tensor.Name().decode()
    flat = converter.bb.normalize(relax.op.reshape(expr, [-1, depth]))
    keep = options_of(op, tflite.FullyConnectedOptions).KeepNumDims()
    converter.exp_tab.set_expr(name, flat, force_override=True)
    try:
        out = converter.bb.normalize(converter.convert_fully_connected(op))
    finally:
        converter.exp_tab.set_expr(name, expr, force_override=True)
    return relax.op.reshape(out, [*shape[:-1], units]) if keep else out


def _transpose_conv(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """In NCHW, the only layout of transposed convolution that TVM can compile."""
    options = options_of(op, tflite.TransposeConvOptions)
    size_tensor, weight, data, *bias = converter.get_input_tensors(op)
    size = [int(n) for n in converter.get_tensor_value(size_tensor)]
    _, *kernel, _ = converter.get_tensor_shape(weight)
    _, *source, _ = converter.get_tensor_shape(data)
    strides = (options.StrideH(), options.StrideW())
    padding, extra = [], []
    for target, kernel_size, rows, stride in zip(size[1:3], kernel, source, strides, strict=True):
        total = (rows - 1) * stride + kernel_size - target
        # SAME puts the odd row of padding behind; VALID has none, and an output larger than what
        # the kernel reaches is filled with the bias.
        padding.append((max(total, 0) // 2, max(total, 0) - max(total, 0) // 2))
        extra.append(max(-total, 0))

    def convolve(x: ir.Expr, w: ir.Expr, *offset: ir.Expr) -> ir.Expr:
        out = relax.op.nn.conv2d_transpose(
            relax.op.permute_dims(x, [0, 3, 1, 2]),
            relax.op.permute_dims(w, [3, 0, 1, 2]),
            strides=strides,
            padding=(padding[0][0], padding[1][0], padding[0][1], padding[1][1]),
            output_padding=tuple(extra),
            data_layout="NCHW",
            kernel_layout="IOHW",
        )
        out = relax.op.permute_dims(out, [0, 2, 3, 1])
        return relax.op.add(out, offset[0]) if offset else out

    def activated(*operands: ir.Expr) -> ir.Expr:
        return converter.convert_fused_activation_function(
            convolve(*operands), options.FusedActivationFunction()
        )

    return converter.through_float(op, activated, inputs=(2, 1, 3) if bias else (2, 1))


def _index_of_extreme(function: Callable) -> Rule:
    def rule(converter: Converter, op: tflite.Operator) -> ir.Expr:
        data, axis = converter.get_input_tensors(op)
        out = function(
            converter.get_tensor_expr(data), axis=int(converter.get_tensor_value(axis).item())
        )
        kind = converter.get_output_tensors(op)[0].tensor.Type()
        return relax.op.astype(out, converter.get_tensor_type_str(kind))

    return rule


ARITHMETIC_RULES: dict[str, Rule] = {
    "ARG_MAX": _index_of_extreme(relax.op.argmax),
    "ARG_MIN": _index_of_extreme(relax.op.argmin),
    "ELU": _elu,
    "FULLY_CONNECTED": _fully_connected,
    "GELU": _gelu,
    "L2_NORMALIZATION": _l2_normalization,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
    "SQUARE": _square,
    "TRANSPOSE_CONV": _transpose_conv,
}
