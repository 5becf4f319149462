"""TRANSPOSE_CONV as a plain convolution whose channels are then spread over pixels.

With a stride of s, output row s * q + p adds up input rows q - j times kernel rows p + s * j, for
j = 0, 1, ...: what differs with p are kernel rows, as if they made different channels.  So

    transposed convolution, kernel K x L, O channels, strides s, t
        ->  convolution, kernel ceil(K / s) x ceil(L / t), s * t * O channels
        ->  each pixel's channels become s x t pixels
        ->  the padding is cut off

which is the same sums, in integers, too, and all of them are operators that layers are made of.
Kernel rows beyond K are 0.
"""

from __future__ import annotations

import numpy as np
import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import TensorWrapper

from .constant_shapes import options_of
from .converter import Converter, rule


@rule("TRANSPOSE_CONV")
def transpose_conv(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """The rule of the operator."""
    options = options_of(op, tflite.TransposeConvOptions)
    size_tensor, weight, data, *bias = converter.get_input_tensors(op)
    size = [int(n) for n in converter.get_tensor_value(size_tensor)][1:3]
    strides = (options.StrideH(), options.StrideW())
    kernel = converter.get_tensor_shape(weight)[1:3]
    source = converter.get_tensor_shape(data)[1:3]
    cut = [0, 0]
    if options.Padding() == tflite.Padding.SAME:
        cut = [_padding(*axis) for axis in zip(size, kernel, strides)]
    values = converter.get_tensor_value(weight)
    parts = strides[0] * strides[1]
    blocks = [-(-length // stride) for length, stride in zip(kernel, strides)]
    # Output rows up to the last that is wanted, in units of the stride.
    wanted = [-(-(length + before) // s) for length, before, s in zip(size, cut, strides)]
    after = [max(rows - have, 0) for rows, have in zip(wanted, source)]

    def convolve(x: ir.Expr, w: ir.Expr, *offset: ir.Expr) -> ir.Expr:
        out = relax.op.nn.conv2d(
            x,
            w,
            padding=(blocks[0] - 1, blocks[1] - 1, *after),
            data_layout="NHWC",
            kernel_layout="OHWI",
        )
        out = relax.op.add(out, offset[0]) if offset else out
        return converter.convert_fused_activation_function(out, options.FusedActivationFunction())

    phases = _phases(values, strides, blocks)
    operands = [converter.get_tensor_expr(data), relax.const(phases, str(values.dtype))]
    if bias:
        repeated = np.tile(converter.get_tensor_value(bias[0]), parts)
        operands.append(relax.const(repeated, str(repeated.dtype)))
    target = converter.get_output_tensors(op)[0]
    if data.qnn_params:
        quantized = [data, _repeated(weight, parts), *(_repeated(b, parts) for b in bias)]
        operands = [converter.dequantize(e, tensor) for e, tensor in zip(operands, quantized)]
    out = convolve(*(converter.bb.normalize(operand) for operand in operands))
    out = converter.quantize(out, target) if target.qnn_params else out
    return _spread(converter, out, strides, values.shape[0], cut, size)


def _padding(length: int, kernel: int, stride: int) -> int:
    """Rows of SAME padding before, of a convolution from `length` rows, which this one inverts."""
    total = (-(-length // stride) - 1) * stride + kernel - length
    return max(total, 0) // 2


def _phases(weight: np.ndarray, strides: tuple[int, int], blocks: list[int]) -> np.ndarray:
    """[s * t * O, ceil(K / s), ceil(L / t), I] of weights [O, K, L, I]."""
    channels, _, _, depth = weight.shape
    (s, t), (rows, columns) = strides, blocks
    whole = np.zeros((channels, rows * s, columns * t, depth), weight.dtype)
    whole[:, : weight.shape[1], : weight.shape[2]] = weight
    split = whole.reshape(channels, rows, s, columns, t, depth).transpose(2, 4, 0, 1, 3, 5)
    # Kernel row j meets input row q - j: a convolution counts them the other way.
    return np.ascontiguousarray(
        split.reshape(s * t * channels, rows, columns, depth)[:, ::-1, ::-1]
    )


def _repeated(tensor: TensorWrapper, count: int) -> TensorWrapper:
    """`tensor` with the scales that it has once for each channel as often as the channels."""
    parameters = dict(tensor.qnn_params)
    scales = parameters["scale"].value.numpy()
    if scales.ndim:
        parameters["scale"] = relax.const(np.tile(scales, count), "float32")
    return TensorWrapper(tensor.tensor_idx, tensor.tensor, tensor.buffer, parameters)


def _spread(
    converter: Converter,
    expr: ir.Expr,
    strides: tuple[int, int],
    channels: int,
    cut: list[int],
    size: list[int],
) -> ir.Expr:
    """Channels [s, t, O] of each pixel as s x t pixels; then the rows and columns of the result."""
    expr = converter.bb.normalize(expr)
    batch, rows, columns, _ = converter.static_shape(expr)
    s, t = strides
    if s * t > 1:
        expr = relax.op.reshape(expr, [batch * rows, columns, s, t * channels])
        expr = relax.op.permute_dims(expr, [0, 2, 1, 3])
        expr = relax.op.reshape(expr, [batch, rows * s, columns * t, channels])
    ends = [before + length for before, length in zip(cut, size)]
    return relax.op.strided_slice(expr, axes=[1, 2], begin=cut, end=ends)
