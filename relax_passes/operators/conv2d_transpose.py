"""Two-dimensional transposed convolution, by rows of its result.

A convolution adds up what lies under a window; the transposed one spreads each pixel under a window
and adds up where windows overlap.  Written from the result, it is a convolution again, which takes
every stride-th tap: output row y meets kernel row k where ``y + top - k * dilation`` is a multiple
of the stride, and reads that multiple's input row.  So a row is complete when it is computed, and
nothing is accumulated from row to row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from .conv2d import Conv2D, Geometry, sum_of_taps
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
    reach = staticmethod(transposed_rows)

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        extra = attrs["output_padding"]
        if len(extra) != 2 or min(extra) < 0:
            raise ValueError(
                f"{self.name}: output_padding takes 2 numbers of at least 0, got {extra}"
            )
        return super().infer(inputs, attrs)

    def length(self, length: int, kernel: int, attrs: Mapping[str, Any], axis: int) -> int:
        before, after = attrs["padding"][axis], attrs["padding"][axis + 2]
        stride, dilation = attrs["strides"][axis], attrs["dilation"][axis]
        extra = attrs["output_padding"][axis]
        return transposed_length(length, kernel, stride, before, after, dilation, extra)

    def operator_class(self, signature: Signature) -> OperatorClass:
        # One pixel of the data is one of the result, unless there are zeros between them.
        if signature["strides"] == (1, 1):
            return super().operator_class(signature)
        depthwise = super().operator_class(signature) is OperatorClass.DEPTHWISE
        return OperatorClass.DEPTHWISE if depthwise else OperatorClass.SPATIAL

    def macs(self, signature: Signature) -> int:
        filters, kernel_h, kernel_w, depth = signature.inputs[1].shape
        _, height, width, _ = signature.inputs[0].shape
        return signature.inputs[0].shape[0] * height * width * filters * kernel_h * kernel_w * depth

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        return sum_of_taps(signature, _Spread(signature))


class _Spread(Geometry):
    """Where the taps of an output pixel lie: rows and columns are in units of 1 / stride."""

    def input_row(self, row, kh):
        return self.output_row(row) + self.top - kh * self.dilation_h

    def input_column(self, ow, kw):
        return ow + self.left - kw * self.dilation_w

    def has_row(self, ih):
        return _is_multiple_inside(ih, self.height, self.stride_h)

    def has_column(self, iw):
        return _is_multiple_inside(iw, self.width, self.stride_w)

    def row_at(self, ih):
        return T.truncdiv(ih, self.stride_h)

    def column_at(self, iw):
        return T.truncdiv(iw, self.stride_w)


def _is_multiple_inside(place: tirx.Expr, length: int, stride: int) -> tirx.Expr:
    inside = tirx.all(place >= 0, place < length * stride)
    return inside if stride == 1 else tirx.all(inside, T.truncmod(place, stride) == 0)
