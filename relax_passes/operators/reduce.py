"""Reductions over any axes: mean, sum, maximum, minimum, product."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .operand_checks import check_choices, single_operand
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec

KINDS = ("mean", "sum", "max", "min", "product")


@register
class Reduce(Operator):
    """Reduction of float32, int8 or int16 data over ``axes``, which may count from the end.

    Integer mean and sum: ``out = clamp(requantize(sum(data - input_zero_point)) +
    output_zero_point, minimum, maximum)``.  The factor ``(multiplier, shift)`` of a mean has the
    division by the number of elements included: `quantized.mean_factors` makes it as LiteRT does,
    `quantized.rescale_factors` that of a sum.  Integer max and min keep scale and zero point.
    """

    name = "reduce"
    memory_class = OperatorClass.REDUCTION
    arguments = ("data",)
    defaults = {
        "kind": REQUIRED,
        "axes": REQUIRED,
        "keepdims": False,
        **fixed_point.RESCALING,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape with the axes removed, or of length 1 with `keepdims`."""
        data = single_operand(self.name, inputs)
        check_choices(self.name, attrs, kind=KINDS)
        fixed_point.check_rounding("reduce", attrs["rounding"])
        if data.dtype != "float32" and attrs["kind"] in ("mean", "sum"):
            if attrs["multiplier"] is None or attrs["shift"] is None:
                raise ValueError(
                    f"reduce: {data.dtype} {attrs['kind']} needs a multiplier and a shift"
                )
        if data.dtype != "float32" and attrs["kind"] == "product":
            raise ValueError(f"reduce: a product is of float32, got {data.dtype}")
        reduced = _reduced_axes(data, attrs["axes"])
        shape = tuple(
            1 if axis in reduced else length
            for axis, length in enumerate(data.shape)
            if attrs["keepdims"] or axis not in reduced
        )
        return TensorSpec(shape, data.dtype)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        """The rows from the first to the last element that output row `row` sums up."""
        data, out = signature.inputs[0], signature.output
        reduced = _reduced_axes(data, signature["axes"])
        elements = out.elements // out.rows
        first = _coordinates(data, reduced, row * elements, 0)
        last = _coordinates(data, reduced, (row + 1) * elements - 1, -1)
        return _row_of(data, first), _row_of(data, last) + 1

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = _Reduction(signature)
        accumulator = g.accumulator

        @script.row_kernel(signature)
        def reduce_row(row, X, data_rows, O):
            for p in range(g.pixels):
                for c in range(g.channels):
                    acc = T.alloc_buffer((1,), accumulator)
                    acc[0] = g.start
                    for i in range(g.reduced_rows):
                        for j in range(g.reduced_in_row):
                            acc[0] = g.combine(acc[0], X[g.data_index(row, p, c, i, j, data_rows)])
                    O[p * g.out_pixel + c] = g.finish(acc[0])

        return reduce_row

    def running_state(self, signature: Signature) -> TensorSpec | None:
        data, out = signature.inputs[0], signature.output
        g = _Reduction(signature)
        if out.rows != 1 or data.rows == 1 or g.reduced_rows != data.rows:
            return None
        terms = g.count if g.kind in ("mean", "sum") else 1
        return TensorSpec((g.pixels, g.channels), fixed_point.partial_type(data.dtype, terms))

    def running_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = _Reduction(signature)
        accumulator = g.accumulator
        state = self.running_state(signature)
        assert state is not None
        partial = state.dtype
        last_row = signature.inputs[0].rows - 1

        @script.running_kernel(signature)
        def reduce_absorb(row, X, data_rows, O, S):
            for p in range(g.pixels):
                for c in range(g.channels):
                    acc = T.alloc_buffer((1,), accumulator)
                    acc[0] = g.start
                    if row > 0:
                        acc[0] = T.cast(S[p * g.channels + c], accumulator)
                    for j in range(g.reduced_in_row):
                        acc[0] = g.combine(acc[0], X[g.data_index(0, p, c, row, j, data_rows)])
                    S[p * g.channels + c] = T.cast(acc[0], partial)
                    if row == last_row:
                        O[p * g.out_pixel + c] = g.finish(acc[0])

        return reduce_absorb


def _reduced_axes(data: TensorSpec, axes: Any) -> tuple[int, ...]:
    rank = len(data.shape)
    wanted = (axes,) if isinstance(axes, int) else tuple(axes)
    if not all(-rank <= axis < rank for axis in wanted):
        raise ValueError(f"reduce: axes {wanted} do not fit a tensor of rank {rank}")
    return tuple(sorted({axis % rank for axis in wanted}))


def _coordinates(data: TensorSpec, reduced: tuple[int, ...], index: int, end: int) -> list[int]:
    """Coordinates in `data` behind output element `index`: its first (end 0) or last (-1)."""
    coordinates = []
    for axis in reversed(range(len(data.shape))):
        length = data.shape[axis]
        if axis in reduced:
            coordinates.append(end % length)
        else:
            coordinates.append(index % length)
            index //= length
    return coordinates[::-1]


def _row_of(data: TensorSpec, coordinates: list[int]) -> int:
    row = 0
    if len(data.shape) > 1:
        for axis in range(data.row_axis + 1):
            row = row * data.shape[axis] + coordinates[axis]
    return row


class _Reduction:
    """Loop bounds, index arithmetic and arithmetic of a reduction kernel.

    The reduced axes are walked in two loops: those that lead from row to row of the input, and
    those inside a row.
    """

    def __init__(self, signature: Signature) -> None:
        data, out = signature.inputs[0], signature.output
        self.attrs = signature.attrs
        self.kind = signature["kind"]
        self.dtype, self.integer = data.dtype, data.dtype != "float32"
        self.accumulator = "int32" if self.integer else data.dtype
        self.shape, self.out_shape = data.shape, out.shape
        self.reduced = _reduced_axes(data, signature["axes"])
        self.row_axes = data.row_axis + 1 if len(data.shape) > 1 else 0
        self.out_row_axes = out.row_axis + 1 if len(out.shape) > 1 else 0
        self.pixels, self.channels = out.pixels, out.channels
        self.data_row, self.data_pixel = data.row_stride, data.pixel_stride
        self.out_pixel = out.pixel_stride
        self.across = [axis for axis in self.reduced if axis < self.row_axes]
        self.inside = [axis for axis in self.reduced if axis >= self.row_axes]
        self.reduced_rows = prod(data.shape[axis] for axis in self.across)
        self.reduced_in_row = prod(data.shape[axis] for axis in self.inside)
        self.count = self.reduced_rows * self.reduced_in_row
        infinity = tirx.infinity("float32")
        lowest, highest = -infinity, infinity
        if self.integer:
            limits = fixed_point.type_limits(self.dtype)
            lowest, highest = (tirx.const(limit, "int32") for limit in limits)
        zero, one = (tirx.const(number, self.accumulator) for number in (0, 1))
        self.start = {"max": lowest, "min": highest, "product": one}.get(self.kind, zero)

    def data_index(self, row, pixel, channel, reduced_row, reduced_in_row, data_rows):
        """Offset of the element that output element (row, pixel, channel) combines next."""
        at = self._input_coordinates(row, pixel, channel)
        at.update(self._split(reduced_row, self.across, self.shape))
        at.update(self._split(reduced_in_row, self.inside, self.shape))
        axes = range(len(self.shape))
        last = len(self.shape) - 1
        input_row = self._join(axes[: self.row_axes], at)
        input_pixel = self._join(axes[self.row_axes : last], at)
        input_channel = at[last] if last >= self.row_axes else 0
        return (
            T.truncmod(input_row, data_rows) * self.data_row
            + input_pixel * self.data_pixel
            + input_channel
        )

    def combine(self, accumulated, element):
        if self.integer:
            element = T.cast(element, "int32")
        if self.kind == "max":
            return T.max(accumulated, element)
        if self.kind == "min":
            return T.min(accumulated, element)
        return accumulated * element if self.kind == "product" else accumulated + element

    def finish(self, accumulated):
        """The output element, from all its elements combined."""
        low, high = self.attrs["minimum"], self.attrs["maximum"]
        if not self.integer:
            if self.kind == "mean":
                accumulated = accumulated / tirx.const(self.count, "float32")
            return fixed_point.clamp(accumulated, low, high, "float32")
        if self.kind in ("mean", "sum"):
            accumulated = self.attrs["output_zero_point"] + fixed_point.multiply(
                accumulated - self.attrs["input_zero_point"] * self.count,
                tirx.const(self.attrs["multiplier"], "int32"),
                tirx.const(self.attrs["shift"], "int32"),
                self.attrs["rounding"],
            )
        return fixed_point.saturate(accumulated, low, high, self.dtype)

    def _input_coordinates(self, row, pixel, channel) -> dict[int, Any]:
        """Coordinates of the axes that are not reduced, by input axis."""
        rank = len(self.out_shape)
        out_axes = list(range(rank))
        at = self._split(row, out_axes[: self.out_row_axes], self.out_shape)
        at.update(self._split(pixel, out_axes[self.out_row_axes : -1], self.out_shape))
        if rank:
            at[rank - 1] = channel
        if self.attrs["keepdims"]:
            return {axis: at[axis] for axis in out_axes if axis not in self.reduced}
        kept = [axis for axis in range(len(self.shape)) if axis not in self.reduced]
        return {axis: at[i] for i, axis in enumerate(kept)}

    @staticmethod
    def _split(index, axes, shape) -> dict[int, Any]:
        """Coordinates along `axes` of a flat index over them."""
        at = {}
        for i, axis in enumerate(axes):
            inner = prod(shape[a] for a in axes[i + 1 :])
            outer = index if inner == 1 else T.truncdiv(index, inner)
            at[axis] = outer if i == 0 else T.truncmod(outer, shape[axis])
        return at

    def _join(self, axes, at):
        """Flat index over `axes` of coordinates along them."""
        index = 0
        for axis in axes:
            index = index * self.shape[axis] + at[axis]
        return index
