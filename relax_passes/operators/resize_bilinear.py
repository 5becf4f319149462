"""Bilinear resizing of images."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, indexing, resize_unsigned, script
from .bilinear_axis import Axis
from .fixed_point import ACTIVATIONS
from .operand_checks import check_choices, single_operand
from .registry import REQUIRED, Operator, OperatorClass, Span, register
from .resize2d import COORDINATES as NEAREST_COORDINATES
from .signature import Signature, TensorSpec

COORDINATES = (*NEAREST_COORDINATES, "pytorch_half_pixel", "half_pixel_symmetric")
ARITHMETICS = ("litert", "exact", "litert_unsigned")
LARGEST_ONE = (1 << 23) - 1
"""The product of the denominators of both axes, up to which sums of int8 pixels fit an int32."""

_BITS = 10  # of the fraction of a position
_WIDE = {"float32": "float32", "int8": "int32", "int16": "int64"}  # what sums are made in


@register
class ResizeBilinear(Operator):
    """Bilinear resizing of NHWC `data` to `size` (height, width).

    ``coordinates`` and ``scale`` are those of `Resize2D`; ``pytorch_half_pixel`` is ``half_pixel``
    unless the result has one row (column), which then is the first; ``half_pixel_symmetric`` is
    ``half_pixel`` with the center of the result on that of the data, whatever `scale` says.

    float32: the weights of two rows and two columns are those of their exact distances.

    int8 and int16, ``litert``: positions and weights have 10 fractional bits, and the result is
    rounded once, ties away from zero, as in LiteRT's reference kernel (``tensorflow/lite/kernels/
    internal/reference/resize_bilinear.h``).  Its integers know neither scale nor zero point: the
    result has those of the data.

    int8, ``exact``: the sum of pixels less ``input_zero_point``, times integer weights, is
    requantized: ``multiplier`` and ``shift`` have the division by the sum of the weights in them.
    If both are None it is divided, ties going up with ``double`` rounding, as LiteRT's uint8 has
    it, else to even.

    int8, ``litert_unsigned``: what LiteRT computes for uint8 pixels, 128 more: see
    `resize_unsigned`.
    """

    name = "resize_bilinear"
    memory_class = OperatorClass.RESIZE
    arguments = ("data",)
    defaults = {
        "size": REQUIRED,
        "coordinates": "asymmetric",
        "scale": None,
        "arithmetic": "litert",
        **fixed_point.RESCALING,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = single_operand(self.name, inputs, ("float32", *ACTIVATIONS), image=True)
        if len(attrs["size"]) != 2 or min(attrs["size"]) < 1:
            raise ValueError(
                f"resize_bilinear: size must be a height and a width, got {attrs['size']}"
            )
        check_choices(self.name, attrs, coordinates=COORDINATES, arithmetic=ARITHMETICS)
        if attrs["scale"] is not None and not min(attrs["scale"]) > 0:
            raise ValueError(f"resize_bilinear: scales must be positive, got {attrs['scale']}")
        fixed_point.check_rounding(self.name, attrs["rounding"])
        if data.dtype == "float32" and attrs["arithmetic"] == "litert_unsigned":
            raise ValueError("resize_bilinear of float32 has no arithmetic of uint8")
        if data.dtype == "int16" and attrs["arithmetic"] != "litert":
            raise ValueError("resize_bilinear of int16 has LiteRT's arithmetic alone")
        batch, height, width, channels = data.shape
        if data.dtype == "int8" and attrs["arithmetic"] == "exact":
            rows, columns = axes((height, width), attrs)
            if rows.one * columns.one > LARGEST_ONE:
                raise ValueError(
                    f"resize_bilinear: weights of {rows.one} times {columns.one} do not fit 32 bits"
                )
        return TensorSpec((batch, *attrs["size"], channels), data.dtype)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        height = signature.inputs[0].shape[1]
        batch, y = divmod(row, signature.output.shape[1])
        first, last = _neighbours(signature, 0, y)
        return batch * height + first, batch * height + last + 1

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        first, last = _neighbours(signature, 1, column)
        return first, last + 1

    def macs(self, signature: Signature) -> int:
        return 4 * signature.output.elements

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        if signature["arithmetic"] == "litert_unsigned":
            return resize_unsigned.row_kernel(signature)
        spec, spec_out = signature.inputs[0], signature.output
        dtype = spec.dtype
        wide = _WIDE[dtype]
        down, across = axes_of(signature)

        def start(row: Any, ring: Any, y: Any) -> Any:
            """Where row `y` of the image begins; kept in a variable, as it takes a remainder."""
            batch = indexing.leading_indices(spec_out, row)[0]
            return indexing.element_offset(spec, [batch, y, 0, 0], ring)

        def pixel(X: Any, start: Any, x: Any, c: Any) -> Any:
            return T.cast(X[start + x * spec.pixel_stride + c], wide)

        def weights(axis: Axis, place: Any, index: Any) -> tuple[Any, Any]:
            """Of the neighbours before and after."""
            after = place - axis.one * index
            if wide != "float32":
                return T.cast(axis.one - after, wide), T.cast(after, wide)
            # Half and half of one pixel: nothing is multiplied by 0, which infinities forbid.
            on = after == 0
            half = tirx.const(0.5, wide)
            share = T.cast(after, wide) / tirx.const(axis.one, wide)
            rest = T.cast(axis.one - after, wide) / tirx.const(axis.one, wide)
            return T.Select(on, half, rest), T.Select(on, half, share)

        @script.row_kernel(signature)
        def resize_bilinear_row(row, X, data_rows, O):
            top = T.alloc_buffer((1,), "int32")
            bottom = T.alloc_buffer((1,), "int32")
            left = T.alloc_buffer((1,), "int32")
            right = T.alloc_buffer((1,), "int32")
            of_top = T.alloc_buffer((1,), wide)  # weights
            of_bottom = T.alloc_buffer((1,), wide)
            of_left = T.alloc_buffer((1,), wide)
            of_right = T.alloc_buffer((1,), wide)
            before = T.alloc_buffer((1,), wide)
            after = T.alloc_buffer((1,), wide)
            y_place = T.alloc_buffer((1,), "int32")
            x_place = T.alloc_buffer((1,), "int32")
            y_place[0] = down.place(indexing.leading_indices(spec_out, row)[1])
            of_top[0] = weights(down, y_place[0], down.neighbours(y_place[0])[0])[0]
            of_bottom[0] = weights(down, y_place[0], down.neighbours(y_place[0])[0])[1]
            top[0] = start(row, data_rows, down.neighbours(y_place[0])[0])
            bottom[0] = start(row, data_rows, down.neighbours(y_place[0])[1])
            for x in range(spec_out.shape[2]):
                x_place[0] = across.place(x)
                left[0] = across.neighbours(x_place[0])[0]
                right[0] = across.neighbours(x_place[0])[1]
                of_left[0] = weights(across, x_place[0], left[0])[0]
                of_right[0] = weights(across, x_place[0], left[0])[1]
                for c in range(spec_out.channels):
                    before[0] = (
                        pixel(X, top[0], left[0], c) * of_top[0]
                        + pixel(X, bottom[0], left[0], c) * of_bottom[0]
                    )
                    after[0] = (
                        pixel(X, top[0], right[0], c) * of_top[0]
                        + pixel(X, bottom[0], right[0], c) * of_bottom[0]
                    )
                    O[indexing.offset_in_row(spec_out, (x, c))] = _result(
                        signature, before[0] * of_left[0] + after[0] * of_right[0]
                    )

        return resize_bilinear_row


def _neighbours(signature: Signature, axis: int, index: int) -> tuple[int, int]:
    """The first and the last row (axis 0) or column (1) that an output index needs."""
    if signature["arithmetic"] == "litert_unsigned":
        return resize_unsigned.neighbours(signature, axis, index)
    along = axes_of(signature)[axis]
    return along.neighbours(along.place(index))


def axes(lengths: tuple[int, int], attrs: Any) -> tuple[Axis, Axis]:
    """Height and width, with exact positions, of data of these lengths."""
    scales = attrs["scale"] or (None, None)
    rows, columns = (
        Axis.of(length, out_length, attrs["coordinates"], scale)
        for length, out_length, scale in zip(lengths, attrs["size"], scales)
    )
    return rows, columns


def axes_of(signature: Signature) -> tuple[Axis, Axis]:
    """Height and width of an operation."""
    _, height, width, _ = signature.inputs[0].shape
    if signature.inputs[0].dtype == "float32" or signature["arithmetic"] == "exact":
        return axes((height, width), signature.attrs)
    rows, columns = (
        Axis.of_litert(length, out_length, signature["coordinates"], _BITS)
        for length, out_length in zip((height, width), signature["size"])
    )
    return rows, columns


def _result(signature: Signature, total: Any) -> Any:
    """The output element from a sum of pixels times their weights."""
    low, high = signature["minimum"], signature["maximum"]
    if signature.inputs[0].dtype == "float32":
        return fixed_point.clamp(total, low, high, "float32")
    down, across = axes_of(signature)
    one = down.one * across.one
    if signature["arithmetic"] == "litert":
        dtype = signature.inputs[0].dtype
        wide = _WIDE[dtype]
        total = fixed_point.hold("total", total, wide)
        half, whole = tirx.const(one // 2, wide), tirx.const(one, wide)
        nudged = total + T.Select(total > 0, half, -half)
        return T.cast(T.truncdiv(nudged, whole), dtype)
    total = total - signature["input_zero_point"] * one
    if signature["multiplier"] is None:
        scaled = _divided(fixed_point.hold("total", total), one, signature["rounding"])
    else:
        factor = signature["multiplier"], signature["shift"]
        scaled = fixed_point.multiply(total, *factor, signature["rounding"])
    return fixed_point.saturate(scaled + signature["output_zero_point"], low, high)


def _divided(total: Any, one: int, rounding: str) -> Any:
    """``total / one``, ties up or, unless with `double` rounding, to even."""
    quotient = fixed_point.hold("quotient", T.floordiv(total + one // 2, one))
    if rounding == "double" or one % 2:
        return quotient
    tie = quotient * one - total == one // 2
    return quotient - T.cast(tie, "int32") * T.bitwise_and(quotient, 1)
