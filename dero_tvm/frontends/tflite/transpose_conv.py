"""TRANSPOSE_CONV, whose padding follows from the shape of its result."""

from __future__ import annotations

import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import TensorWrapper

from ..transposed_windows import reaching
from .constant_shapes import options_of
from .converter import Converter, rule


@rule("TRANSPOSE_CONV")
def transpose_conv(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """The rule of the operator."""
    options = options_of(op, tflite.TransposeConvOptions)
    size_tensor, weight, data, *bias = converter.get_input_tensors(op)
    size = _size(converter, op, size_tensor)
    strides = (options.StrideH(), options.StrideW())
    kernel = converter.get_tensor_shape(weight)[1:3]
    source = converter.get_tensor_shape(data)[1:3]
    before = [0, 0]
    if options.Padding() == tflite.Padding.SAME:
        before = [_padding(*axis) for axis in zip(size, kernel, strides)]
    # What lies behind the last row that is wanted, or is missing before it.
    after = [
        (length - 1) * stride + span - first - wanted
        for length, stride, span, first, wanted in zip(source, strides, kernel, before, size)
    ]

    def convolve(x: ir.Expr, w: ir.Expr, *offset: ir.Expr) -> ir.Expr:
        x, extra = reaching(x, (1, 2), [max(-rows, 0) for rows in after], strides)
        out = relax.op.nn.conv2d_transpose(
            converter.bb.normalize(x),
            w,
            strides=strides,
            padding=(*before, *(max(rows, 0) for rows in after)),
            output_padding=extra,
            data_layout="NHWC",
            kernel_layout="OHWI",
        )
        out = relax.op.add(out, offset[0]) if offset else out
        return converter.convert_fused_activation_function(out, options.FusedActivationFunction())

    tensors = [data, weight, *bias]
    operands = [converter.get_tensor_expr(tensor) for tensor in tensors]
    if data.qnn_params:
        operands = [converter.dequantize(e, tensor) for e, tensor in zip(operands, tensors)]
    out = convolve(*(converter.bb.normalize(operand) for operand in operands))
    target = converter.get_output_tensors(op)[0]
    return converter.quantize(out, target) if target.qnn_params else out


def _size(converter: Converter, op: tflite.Operator, operand: TensorWrapper) -> list[int]:
    """Height and width of the result; as the file declares it, where the operand is an input."""
    if not converter.has_expr(operand.tensor_idx):
        return [int(n) for n in converter.get_tensor_value(operand)][1:3]
    shape = converter.declared_shape(op.Outputs(0))
    if shape is None or len(shape) != 4:
        raise ValueError(
            "the shape of its result is computed as the network runs; convert the model with fixed "
            "shapes"
        )
    return list(shape[1:3])


def _padding(length: int, kernel: int, stride: int) -> int:
    """Rows of SAME padding before, of a convolution from `length` rows, which this one inverts."""
    total = (-(-length // stride) - 1) * stride + kernel - length
    return max(total, 0) // 2
