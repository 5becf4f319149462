"""Two-dimensional convolution: any kernel, stride, padding, dilation and number of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, layer_sums, script
from .layer_sums import LayerSums
from .registry import Operator, OperatorClass, Span, register
from .signature import Signature, TensorSpec
from .window import needed_along, output_length, window_rows


@register
class Conv2D(Operator):
    """2-D convolution with bias and clamp, fixed-point requantized for int8 and int16.

    ``data`` is NHWC, ``weight`` is OHWI with ``I = C / groups``, ``bias`` has O elements.

    float32: ``out = clamp(sum(data * weight) + bias, minimum, maximum)``.

    int8: ``out = clamp(requantize(sum((data - input_zero_point) * (weight - weight_zero_point))
    + bias) + output_zero_point, minimum, maximum)`` with an int32 accumulator and bias, and the
    factor of output channel o given by ``multiplier[o]``, ``shift[o]`` (see `fixed_point`).
    Padding stands for real zeros.

    int16: the same with int8 weights; sums are of the bias' type, int32 or int64.
    """

    name = "conv2d"
    arguments = ("data", "weight", "bias", "multiplier", "shift")
    defaults = {
        "strides": (1, 1),
        "padding": (0, 0, 0, 0),  # top, left, bottom, right
        "dilation": (1, 1),
        "groups": 1,
        **layer_sums.ATTRIBUTES,
    }
    reach = staticmethod(window_rows)
    """What of the data a row or column of the result needs."""

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        check_operands(inputs, attrs, self.name)
        data, weight = inputs[:2]
        filters, *kernel, depth = weight.shape
        groups = attrs["groups"]
        if depth * groups != data.channels or filters % groups:
            raise ValueError(
                f"{self.name}: {data.channels} channels in {groups} groups do not fit weights of "
                f"shape {weight.shape}"
            )
        lengths = (self.length(data.shape[1 + axis], kernel[axis], attrs, axis) for axis in (0, 1))
        return TensorSpec((data.shape[0], *lengths, filters), data.dtype)

    def length(self, length: int, kernel: int, attrs: Mapping[str, Any], axis: int) -> int:
        """Of the result along an axis of the image; ValueError if there is none."""
        before, after = attrs["padding"][axis], attrs["padding"][axis + 2]
        stride, dilation = attrs["strides"][axis], attrs["dilation"][axis]
        return output_length(length, kernel, stride, before, after, dilation)

    def operator_class(self, signature: Signature) -> OperatorClass:
        data, weight = signature.inputs[:2]
        filters, kernel_h, kernel_w, depth = weight.shape
        if depth == 1 and signature["groups"] == data.channels and data.channels > 1:
            return OperatorClass.DEPTHWISE
        if (kernel_h, kernel_w) == (1, 1):
            return OperatorClass.POINTWISE
        return OperatorClass.SPATIAL

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        kernel = signature.inputs[1].shape[1]
        return needed_along(0, row, signature, kernel=kernel, needed=self.reach)

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        kernel = signature.inputs[1].shape[2]
        return needed_along(1, column, signature, kernel=kernel, needed=self.reach)

    def macs(self, signature: Signature) -> int:
        _, kernel_h, kernel_w, depth = signature.inputs[1].shape
        return signature.output.elements * kernel_h * kernel_w * depth

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        return sum_of_taps(signature, Geometry(signature))


def sum_of_taps(signature: Signature, g: Geometry) -> tirx.PrimFunc:
    """A kernel that adds up what the geometry says that the taps of a result read."""
    sums = LayerSums(signature)

    @script.row_kernel(signature)
    def conv2d_row(row, X, data_rows, Wt, B, *factors, O):
        for ow in range(g.out_width):
            for oc in range(g.filters):
                acc = T.alloc_buffer((1,), sums.accumulator)
                acc[0] = B[oc]
                for kh in range(g.kernel_h):
                    ih: T.let[T.int32] = g.input_row(row, kh)
                    if g.has_row(ih):
                        start = T.alloc_buffer((1,), "int32")
                        start[0] = g.row_start(row, data_rows, g.row_at(ih))
                        for kw in range(g.kernel_w):
                            iw: T.let[T.int32] = g.input_column(ow, kw)
                            if g.has_column(iw):
                                for ic in range(g.depth):
                                    acc[0] += sums.term(
                                        X[g.data_index(start[0], g.column_at(iw), oc, ic)],
                                        Wt[g.weight_index(oc, kh, kw, ic)],
                                    )
                O[ow * g.out_pixel + oc] = sums.result(acc[0], factors, oc)

    return conv2d_row


def check_operands(
    inputs: tuple[TensorSpec, ...], attrs: Mapping[str, Any], name: str = "conv2d"
) -> None:
    """Raises ``ValueError`` if types, ranks or attributes make no convolution."""
    data = inputs[0]
    check_layer_types(name, inputs)
    if len(data.shape) != 4 or len(inputs[1].shape) != 4:
        raise ValueError(f"{name} takes NHWC data and OHWI weights, got {data}, {inputs[1]}")
    filters = inputs[1].shape[0]
    for operand, spec in zip(Conv2D.arguments[2:], inputs[2:]):
        if spec.shape != (filters,):
            raise ValueError(f"{name}: {operand} must have shape ({filters},), got {spec.shape}")
    for attr, count, least in (("strides", 2, 1), ("dilation", 2, 1), ("padding", 4, 0)):
        if len(attrs[attr]) != count or min(attrs[attr]) < least:
            raise ValueError(
                f"{name}: {attr} takes {count} numbers of at least {least}, got {attrs[attr]}"
            )
    if attrs["groups"] < 1:
        raise ValueError(f"{name}: groups must be at least 1, got {attrs['groups']}")
    fixed_point.check_rounding(name, attrs["rounding"])


def check_layer_types(name: str, inputs: tuple[TensorSpec, ...]) -> None:
    """Raises ``ValueError`` if types are not those of a layer's operands."""
    known: dict[str, list[tuple[str, ...]]] = {
        "float32": [("float32", "float32", "float32")],
        "int8": [("int8", "int8", "int32", "int32", "int32")],
        "int16": [("int16", "int8", sums, "int32", "int32") for sums in ("int32", "int64")],
    }
    expected = known.get(inputs[0].dtype)
    if expected is None:
        raise ValueError(f"{name} takes data of float32, int8 or int16, got {inputs[0].dtype}")
    dtypes = tuple(spec.dtype for spec in inputs)
    if dtypes not in expected:
        names = ", ".join(f"{n} {t}" for n, t in zip(Conv2D.arguments, expected[0]))
        raise ValueError(f"{name} takes {names}; got {', '.join(dtypes)}")


class Geometry:
    """The numbers a convolution's loop nest is made of, and its index arithmetic."""

    def __init__(self, signature: Signature) -> None:
        data, weight = signature.inputs[:2]
        _, self.height, self.width, _ = data.shape
        self.filters, self.kernel_h, self.kernel_w, self.depth = weight.shape
        _, self.out_height, self.out_width, _ = signature.output.shape
        self.batch = data.shape[0]
        self.stride_h, self.stride_w = signature["strides"]
        self.dilation_h, self.dilation_w = signature["dilation"]
        self.top, self.left = signature["padding"][:2]
        self.filters_per_group = self.filters // signature["groups"]
        self.groups = signature["groups"]
        self.data_row, self.data_pixel = data.row_stride, data.pixel_stride
        self.out_pixel = signature.output.pixel_stride

    def input_row(self, row, kh):
        """Row of the image that tap `kh` reads; outside ``[0, height)`` in the padding."""
        return self.output_row(row) * self.stride_h + kh * self.dilation_h - self.top

    def input_column(self, ow, kw):
        """Column of the image that tap `kw` reads; outside ``[0, width)`` in the padding."""
        return ow * self.stride_w + kw * self.dilation_w - self.left

    def has_row(self, ih):
        """True if the image has what `input_row` says."""
        return tirx.all(ih >= 0, ih < self.height)

    def has_column(self, iw):
        """True if the image has what `input_column` says."""
        return tirx.all(iw >= 0, iw < self.width)

    def row_at(self, ih):
        """The index of a row that the image has."""
        return ih

    def column_at(self, iw):
        """The index of a column that the image has."""
        return iw

    def output_row(self, row):
        """Row of its image that a row of the batch is."""
        return row if self.batch == 1 else T.truncmod(row, self.out_height)

    def row_start(self, row, data_rows, ih):
        """Where row `ih` of the image begins in a ring of `data_rows` rows.

        Kernels keep it in a variable: inside the innermost loops, behind a condition, compilers
        would take the remainder once a product.
        """
        absolute = ih if self.batch == 1 else T.truncdiv(row, self.out_height) * self.height + ih
        return T.truncmod(absolute, data_rows) * self.data_row

    def data_index(self, row_start, iw, oc, ic):
        return row_start + iw * self.data_pixel + self.channel(oc, ic)

    def channel(self, oc, ic):
        """Channel of the data that element `ic` of output channel `oc`'s weights meets."""
        if self.groups == 1:
            return ic
        return T.truncdiv(oc, self.filters_per_group) * self.depth + ic

    def weight_index(self, oc, kh, kw, ic):
        return ((oc * self.kernel_h + kh) * self.kernel_w + kw) * self.depth + ic
