"""Two-dimensional transposed convolution, by rows of its result.

A convolution adds up what lies under a window; the transposed one spreads each pixel under a window
and adds up where windows overlap.  Written from the result, it is a convolution again, which takes
every stride-th tap: output row y meets kernel row k where ``y + top - k * dilation`` is a multiple
of the stride, and reads that multiple's input row.  So a row is complete when it is computed, and
nothing is accumulated from row to row.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .conv2d import Conv2D, Geometry, check_operands
from .registry import OperatorClass, register
from .signature import Signature, TensorSpec
from .window import transposed_length, transposed_rows


@register
class Conv2DTranspose(Conv2D):
    """2-D transposed convolution with bias and clamp, fixed-point requantized for int8.

    ``data`` is NHWC, ``weight`` is OHWI with ``I = C / groups``, ``bias`` has O elements: all as of
    `Conv2D`, with its arithmetic.  ``padding`` is cut off the result, ``output_padding`` (height,
    width) is what the result has more at the end.  In int8, sums are complete before the bias is
    added and they are requantized, as in LiteRT's reference kernel
    (``tensorflow/lite/kernels/internal/reference/integer_ops/transpose_conv.h``).
    """

    name = "conv2d_transpose"
    defaults = {**Conv2D.defaults, "output_padding": (0, 0)}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        check_operands(inputs, attrs, self.name)
        data, weight = inputs[:2]
        batch, height, width, channels = data.shape
        filters, kernel_h, kernel_w, depth = weight.shape
        groups, extra = attrs["groups"], attrs["output_padding"]
        if depth * groups != channels or filters % groups:
            raise ValueError(
                f"{self.name}: {channels} channels in {groups} groups do not fit weights of shape "
                f"{weight.shape}"
            )
        if len(extra) != 2 or min(extra) < 0:
            raise ValueError(
                f"{self.name}: output_padding takes 2 numbers of at least 0, got {extra}"
            )
        top, left, bottom, right = attrs["padding"]
        (stride_h, stride_w), (dilation_h, dilation_w) = attrs["strides"], attrs["dilation"]
        shape = (
            batch,
            transposed_length(height, kernel_h, stride_h, top, bottom, dilation_h, extra[0]),
            transposed_length(width, kernel_w, stride_w, left, right, dilation_w, extra[1]),
            filters,
        )
        return TensorSpec(shape, data.dtype)

    def operator_class(self, signature: Signature) -> OperatorClass:
        # One pixel of the data is one of the result, unless there are zeros between them.
        if signature["strides"] == (1, 1):
            return super().operator_class(signature)
        depthwise = super().operator_class(signature) is OperatorClass.DEPTHWISE
        return OperatorClass.DEPTHWISE if depthwise else OperatorClass.SPATIAL

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        return transposed_rows(
            row,
            signature.inputs[0].shape[1],
            signature.output.shape[1],
            kernel=signature.inputs[1].shape[1],
            stride=signature["strides"][0],
            before=signature["padding"][0],
            dilation=signature["dilation"][0],
        )

    def macs(self, signature: Signature) -> int:
        filters, kernel_h, kernel_w, depth = signature.inputs[1].shape
        _, height, width, _ = signature.inputs[0].shape
        return signature.inputs[0].shape[0] * height * width * filters * kernel_h * kernel_w * depth

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        return (
            _int8_row(signature) if signature.inputs[0].dtype == "int8" else _float_row(signature)
        )


class _Spread(Geometry):
    """Where the taps of an output pixel lie."""

    def place(self, output, tap, axis):
        """What is `axis`' stride times the input index that `tap` reads for index `output`."""
        before = (self.top, self.left)[axis]
        return output + before - tap * (self.dilation_h, self.dilation_w)[axis]

    def is_inside(self, place, axis):
        """True if there is an element of the input at `place`."""
        stride = (self.stride_h, self.stride_w)[axis]
        length = (self.height, self.width)[axis]
        inside = tirx.all(place >= 0, place < length * stride)
        return inside if stride == 1 else tirx.all(inside, T.truncmod(place, stride) == 0)

    def index(self, place, axis):
        return T.truncdiv(place, (self.stride_h, self.stride_w)[axis])

    def output_row(self, row):
        return row if self.batch == 1 else T.truncmod(row, self.out_height)


def _float_row(signature: Signature) -> tirx.PrimFunc:
    g = _Spread(signature)
    low, high = signature["minimum"], signature["maximum"]

    @script.prim_func(private=True, s_tir=True)
    def conv2d_transpose_row(
        row: T.int32,
        data: T.handle("float32"),
        data_rows: T.int32,
        weight: T.handle("float32"),
        bias: T.handle("float32"),
        out: T.handle("float32"),
    ):
        X = T.decl_buffer((g.data_elements,), "float32", data=data)
        Wt = T.decl_buffer((g.weight_elements,), "float32", data=weight)
        B = T.decl_buffer((g.filters,), "float32", data=bias)
        O = T.decl_buffer((g.out_elements,), "float32", data=out)
        for ow in range(g.out_width):
            for oc in range(g.filters):
                acc = T.alloc_buffer((1,), "float32")
                acc[0] = B[oc]
                for kh in range(g.kernel_h):
                    y: T.let[T.int32] = g.place(g.output_row(row), kh, 0)
                    if g.is_inside(y, 0):
                        start = T.alloc_buffer((1,), "int32")
                        start[0] = g.row_start(row, data_rows, g.index(y, 0))
                        for kw in range(g.kernel_w):
                            x: T.let[T.int32] = g.place(ow, kw, 1)
                            if g.is_inside(x, 1):
                                pixel = T.alloc_buffer((1,), "int32")
                                pixel[0] = g.index(x, 1)
                                for ic in range(g.depth):
                                    acc[0] += (
                                        X[g.data_index(start[0], pixel[0], oc, ic)]
                                        * Wt[g.weight_index(oc, kh, kw, ic)]
                                    )
                O[ow * g.out_pixel + oc] = fixed_point.clamp(acc[0], low, high, "float32")

    return conv2d_transpose_row


def _int8_row(signature: Signature) -> tirx.PrimFunc:
    g = _Spread(signature)
    zero_in, zero_out = signature["input_zero_point"], signature["output_zero_point"]
    zero_weight = signature["weight_zero_point"]
    low, high = signature["minimum"], signature["maximum"]
    rounding = signature["rounding"]

    @script.prim_func(private=True, s_tir=True)
    def conv2d_transpose_row(
        row: T.int32,
        data: T.handle("int8"),
        data_rows: T.int32,
        weight: T.handle("int8"),
        bias: T.handle("int32"),
        multiplier: T.handle("int32"),
        shift: T.handle("int32"),
        out: T.handle("int8"),
    ):
        X = T.decl_buffer((g.data_elements,), "int8", data=data)
        Wt = T.decl_buffer((g.weight_elements,), "int8", data=weight)
        B = T.decl_buffer((g.filters,), "int32", data=bias)
        M = T.decl_buffer((g.filters,), "int32", data=multiplier)
        S = T.decl_buffer((g.filters,), "int32", data=shift)
        O = T.decl_buffer((g.out_elements,), "int8", data=out)
        for ow in range(g.out_width):
            for oc in range(g.filters):
                acc = T.alloc_buffer((1,), "int32")
                acc[0] = B[oc]
                for kh in range(g.kernel_h):
                    y: T.let[T.int32] = g.place(g.output_row(row), kh, 0)
                    if g.is_inside(y, 0):
                        start = T.alloc_buffer((1,), "int32")
                        start[0] = g.row_start(row, data_rows, g.index(y, 0))
                        for kw in range(g.kernel_w):
                            x: T.let[T.int32] = g.place(ow, kw, 1)
                            if g.is_inside(x, 1):
                                pixel = T.alloc_buffer((1,), "int32")
                                pixel[0] = g.index(x, 1)
                                for ic in range(g.depth):
                                    acc[0] += (
                                        T.cast(X[g.data_index(start[0], pixel[0], oc, ic)], "int32")
                                        - zero_in
                                    ) * (
                                        T.cast(Wt[g.weight_index(oc, kh, kw, ic)], "int32")
                                        - zero_weight
                                    )
                scaled: T.let[T.int32] = (
                    fixed_point.multiply(acc[0], M[oc], S[oc], rounding) + zero_out
                )
                O[ow * g.out_pixel + oc] = fixed_point.saturate(scaled, low, high)

    return conv2d_transpose_row
