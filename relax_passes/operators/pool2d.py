"""Two-dimensional pooling: maximum, average and sum of a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .operand_checks import check_choices, single_operand
from .quantized import divide_factor
from .registry import REQUIRED, Operator, OperatorClass, Span, implementation, register
from .signature import Signature, TensorSpec
from .window import needed_along, output_length

KINDS = ("max", "average", "sum")


@register
class Pool2D(Operator):
    """Pooling of NHWC data, float32, int8 or int16.

    Padding never wins a maximum and counts as zeros in a sum.  An average divides by the number
    of elements inside the image, or by the whole window with ``count_include_pad``.

    Integer average and sum: with ``(multiplier, shift)``, the factor from the input's scale to the
    output's (see `quantized.pooling_factors`), the result is ``requantize(sum(data -
    input_zero_point)) + output_zero_point``, where an average has the division included in its
    factor (`quantized.divide_factor`).  Without them the output keeps the input's scale, and an
    average is an integer division of ``sum(data - input_zero_point)``.  With ``double`` rounding,
    ties go away from zero: LiteRT's AVERAGE_POOL_2D divides sums of the integers as they are, so
    that both zero points are 0 for its int8, and -128 for its uint8 less 128.  With ``single``
    rounding, ties go to even: ONNX's QuantizeLinear.
    """

    name = "pool2d"
    memory_class = OperatorClass.POOLING
    arguments = ("data",)
    defaults = {
        "kind": REQUIRED,
        "pool_size": REQUIRED,
        "strides": (1, 1),
        "padding": (0, 0, 0, 0),  # top, left, bottom, right
        "dilation": (1, 1),
        "count_include_pad": False,
        **fixed_point.RESCALING,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """[N, H', W', C], of the data's type."""
        data = single_operand(self.name, inputs, image=True)
        check_choices(self.name, attrs, kind=KINDS)
        if (attrs["multiplier"] is None) != (attrs["shift"] is None):
            raise ValueError("pool2d: multiplier and shift go together")
        fixed_point.check_rounding("pool2d", attrs["rounding"])
        axes = [Axis.of(data, attrs, axis) for axis in (0, 1)]
        if not windows_meet_image(data, attrs):
            raise ValueError(
                f"pool2d: with a window of {attrs['pool_size']} and padding "
                f"{attrs['padding']} (top, left, bottom, right) some windows lie outside "
                "the image"
            )
        return TensorSpec(
            (data.shape[0], axes[0].out_length, axes[1].out_length, data.shape[3]), data.dtype
        )

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        return needed_along(0, row, signature, kernel=signature["pool_size"][0])

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        return needed_along(1, column, signature, kernel=signature["pool_size"][1])

    def running_state(self, signature: Signature) -> TensorSpec | None:
        data, out = signature.inputs[0], signature.output
        top, _, bottom, _ = signature["padding"]
        covers_all_rows = (
            signature["pool_size"][0] == data.rows
            and signature["dilation"][0] == 1
            and top == bottom == 0
        )
        if data.rows == 1 or not covers_all_rows:
            return None
        greatest = signature["kind"] == "max"
        terms = 1 if greatest else data.rows * signature["pool_size"][1]
        return TensorSpec((out.pixels, out.channels), fixed_point.partial_type(data.dtype, terms))

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        return _row_kernel(signature)

    def running_kernel(self, signature: Signature) -> tirx.PrimFunc:
        return _running_kernel(signature)


def _row_kernel(signature: Signature) -> tirx.PrimFunc:
    data = signature.inputs[0]
    vertical = Axis.of(data, signature.attrs, 0)
    horizontal = Axis.of(data, signature.attrs, 1)
    window = _Window(signature, vertical, horizontal)
    accumulator = window.accumulator

    @script.row_kernel(signature)
    def pool2d_row(row, X, data_rows, O):
        top: T.let[T.int32] = vertical.origin(window.position(row))
        first_row: T.let[T.int32] = vertical.first(top)
        tap_rows: T.let[T.int32] = vertical.count(top, first_row)
        for ow in range(horizontal.out_length):
            left: T.let[T.int32] = horizontal.origin(ow)
            first_column: T.let[T.int32] = horizontal.first(left)
            tap_columns: T.let[T.int32] = horizontal.count(left, first_column)
            for c in range(window.channels):
                acc = T.alloc_buffer((1,), accumulator)
                acc[0] = window.start
                for kh in range(tap_rows):
                    start = T.alloc_buffer((1,), "int32")
                    y: T.let[T.int32] = vertical.tap(top, first_row + kh)
                    start[0] = window.row_start(row, data_rows, y)
                    for kw in range(tap_columns):
                        x: T.let[T.int32] = horizontal.tap(left, first_column + kw)
                        acc[0] = window.combine(acc[0], X[start[0] + x * window.data_pixel + c])
                O[ow * window.out_pixel + c] = window.finish(acc[0], tap_rows * tap_columns)

    return pool2d_row


def _running_kernel(signature: Signature) -> tirx.PrimFunc:
    data = signature.inputs[0]
    vertical = Axis.of(data, signature.attrs, 0)
    horizontal = Axis.of(data, signature.attrs, 1)
    window = _Window(signature, vertical, horizontal)
    accumulator = window.accumulator
    state = implementation(signature).running_state(signature)
    assert state is not None
    partial = state.dtype
    last_row = data.rows - 1

    @script.running_kernel(signature)
    def pool2d_absorb(row, X, data_rows, O, S):
        for ow in range(horizontal.out_length):
            left: T.let[T.int32] = horizontal.origin(ow)
            first_column: T.let[T.int32] = horizontal.first(left)
            tap_columns: T.let[T.int32] = horizontal.count(left, first_column)
            for c in range(window.channels):
                acc = T.alloc_buffer((1,), accumulator)
                acc[0] = window.start
                if row > 0:
                    acc[0] = T.cast(S[ow * window.channels + c], accumulator)
                for kw in range(tap_columns):
                    x: T.let[T.int32] = horizontal.tap(left, first_column + kw)
                    acc[0] = window.combine(
                        acc[0],
                        X[T.truncmod(row, data_rows) * window.data_row + x * window.data_pixel + c],
                    )
                S[ow * window.channels + c] = T.cast(acc[0], partial)
                if row == last_row:
                    O[ow * window.out_pixel + c] = window.finish(
                        acc[0], vertical.kernel * tap_columns
                    )

    return pool2d_absorb


class Axis:
    """One spatial axis of the window: which taps of a window position lie inside the image."""

    def __init__(self, length, kernel, stride, before, after, dilation) -> None:
        self.length, self.kernel, self.stride = length, kernel, stride
        self.before, self.dilation = before, dilation
        self.out_length = output_length(length, kernel, stride, before, after, dilation)
        self.padded = before > 0 or after > 0

    @staticmethod
    def of(data: TensorSpec, attrs: Any, axis: int) -> Axis:
        return Axis(
            data.shape[1 + axis],
            attrs["pool_size"][axis],
            attrs["strides"][axis],
            attrs["padding"][axis],
            attrs["padding"][axis + 2],
            attrs["dilation"][axis],
        )

    def counts(self) -> list[int]:
        """How many taps lie inside the image at some window position: each number once."""
        origins = np.arange(self.out_length, dtype=np.int64) * self.stride - self.before
        first = np.maximum(0, -(origins // self.dilation))
        last = np.minimum(self.kernel, -((origins - self.length) // self.dilation))
        return [int(count) for count in np.unique(np.maximum(0, last - first))]

    def origin(self, position):
        """Coordinate of the window's first tap."""
        return position * self.stride - self.before

    def first(self, origin):
        """Index of the first tap inside the image."""
        if not self.padded:
            return tirx.const(0, "int32")
        return T.truncdiv(T.max(0 - origin, 0) + (self.dilation - 1), self.dilation)

    def count(self, origin, first):
        """Number of taps inside the image; at least one, as `Pool2D.infer` makes sure."""
        if not self.padded:
            return tirx.const(self.kernel, "int32")
        last = T.min(T.truncdiv((self.length - 1) - origin, self.dilation), self.kernel - 1)
        return last - first + 1

    def tap(self, origin, index):
        """Coordinate of a tap."""
        return origin + index * self.dilation


def windows_meet_image(data: TensorSpec, attrs: Any) -> bool:
    """True if every window has an element of the image in it, as this operator demands.

    With dilation a window may lie around a narrow image, all taps in its padding.
    """
    return all(min(Axis.of(data, attrs, axis).counts()) > 0 for axis in (0, 1))


class _Window:
    """What a pooling kernel does with the elements of one window, as TIR expressions."""

    def __init__(self, signature: Signature, vertical: Axis, horizontal: Axis) -> None:
        data, out = signature.inputs[0], signature.output
        self.attrs = signature.attrs
        self.kind = signature["kind"]
        self.dtype, self.integer = data.dtype, data.dtype != "float32"
        self.accumulator = "int32" if self.integer else data.dtype
        self.channels = data.channels
        self.batch, self.height, self.out_height = data.shape[0], data.shape[1], out.shape[1]
        self.data_row, self.data_pixel = data.row_stride, data.pixel_stride
        self.out_pixel = out.pixel_stride
        self.size = vertical.kernel * horizontal.kernel
        self.counts = sorted({a * b for a in vertical.counts() for b in horizontal.counts()})
        lowest = -tirx.infinity("float32")
        if self.integer:
            lowest = tirx.const(fixed_point.type_limits(self.dtype)[0], "int32")
        zero = tirx.const(0, self.accumulator)
        self.start = lowest if self.kind == "max" else zero

    def position(self, row):
        """Row of the output image; rows count through the batch."""
        return row if self.batch == 1 else T.truncmod(row, self.out_height)

    def row_start(self, row, data_rows, y):
        """Where row `y` of the image begins in a ring of `data_rows` rows."""
        if self.batch > 1:
            y = T.truncdiv(row, self.out_height) * self.height + y
        return T.truncmod(y, data_rows) * self.data_row

    def combine(self, accumulated, element):
        if self.integer:
            element = T.cast(element, "int32")
        return T.max(accumulated, element) if self.kind == "max" else accumulated + element

    def finish(self, accumulated, count):
        """The output element, from the accumulated elements and how many they were."""
        if not self.integer:
            if self.kind == "average":
                accumulated = accumulated / self._divisor(count, "float32")
            return fixed_point.clamp(
                accumulated, self.attrs["minimum"], self.attrs["maximum"], "float32"
            )
        if self.kind != "max":
            accumulated = self._requantized(accumulated, count)
        bounds = self.attrs["minimum"], self.attrs["maximum"]
        return fixed_point.saturate(accumulated, *bounds, self.dtype)

    def _requantized(self, total, count):
        zero_in, zero_out = self.attrs["input_zero_point"], self.attrs["output_zero_point"]
        if self.attrs["multiplier"] is not None:
            multiplier, shift = self._factor(count)
            centred = total - count * zero_in
            return (
                fixed_point.multiply(centred, multiplier, shift, self.attrs["rounding"]) + zero_out
            )
        real = total - count * zero_in
        if self.kind == "sum":
            return real + zero_out
        divisor = self._divisor(count, "int32")
        if self.attrs["rounding"] == "single":
            return _divide_half_even(real, divisor) + zero_out
        half = T.truncdiv(divisor, 2)
        return T.truncdiv(T.Select(real > 0, real + half, real - half), divisor) + zero_out

    def _divisor(self, count, dtype: str):
        if self.attrs["count_include_pad"]:
            return tirx.const(self.size, dtype)
        if len(self.counts) == 1:
            return tirx.const(self.counts[0], dtype)
        return T.cast(count, dtype)

    def _factor(self, count):
        """The factor of a window with `count` elements, chosen from a list made here."""
        factor = (self.attrs["multiplier"], self.attrs["shift"])
        if self.kind == "average":
            divisors = [self.size] if self.attrs["count_include_pad"] else self.counts
        else:
            divisors = [1]
        *others, (multiplier, shift) = [divide_factor(*factor, n, self.dtype) for n in divisors]
        multiplier, shift = tirx.const(multiplier, "int32"), tirx.const(shift, "int32")
        for divisor, (other_multiplier, other_shift) in zip(divisors, others):
            chosen = count == divisor
            multiplier = T.Select(chosen, tirx.const(other_multiplier, "int32"), multiplier)
            shift = T.Select(chosen, tirx.const(other_shift, "int32"), shift)
        return multiplier, shift


def _divide_half_even(value, divisor):
    """TIR int32 expression: ``value / divisor``, ties to even, as ONNX's QuantizeLinear rounds."""
    doubled = 2 * divisor

    def rounded(up):
        tie = 2 * value + divisor == up * doubled
        return up - T.cast(tirx.all(tie, T.truncmod(up, 2) != 0), "int32")

    return fixed_point.let("up", T.floordiv(2 * value + divisor, doubled), "int32", rounded)
