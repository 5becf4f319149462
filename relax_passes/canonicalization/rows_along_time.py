"""`RowsAlongTime`: images of one row of many pixels become images of many rows of one pixel.

    y = conv2d(x: [1, 1, T, C], weight: [O, 1, k, C])
        ->
    y = conv2d(x: [1, T, 1, C], weight: [O, k, 1, C])

A row is the unit of execution: a network along one axis (sound, sensors) whose tensors are one row
each could only run over whole tensors.  Height and width change places in everything between the
network's inputs and outputs, whose shapes stay; with one of them 1, no element moves.  Tensors of
shape [N, T, C] take part as [N, T, 1, C].

A kernel is called for every row, which costs more than one call for all steps.  So this is done
where rows are what saves memory, in cascades, and nowhere else.

Precondition: the operators of the set.  Nothing is changed unless there is a convolution or pooling
over several pixels of a single row, or of a single column, as where the network's rows are along
time already, but not those of tensors of three axes.  Does not handle: operators that are not
listed here; they read and give the shapes that the network wrote, as views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..operators import attributes_of, make_call

NAME = "RowsAlongTime"

Attributes = dict[str, Any]
_WEIGHTED = ("dero.conv2d", "dero.conv2d_transpose", "dero.shortcut_conv2d")
_WINDOWS = (*_WEIGHTED, "dero.pool2d")
_BINARY = tuple(
    f"dero.{name}"
    for name in (
        *("add", "subtract", "multiply", "divide", "maximum", "minimum", "power"),
        *("prelu", "squared_difference", "compare"),
    )
)
_EACH_PIXEL = tuple(
    f"dero.{name}"
    for name in (
        "unary",
        "lookup",
        "quantize",
        "dequantize",
        "requantize",
        "softmax",
        "dense",
        "layer_norm",
    )
)
_AXES = {4: (0, 2, 1, 3), 3: (0, 1, 3)}  # by rank: where each axis is now


@tvm.transform.module_pass(opt_level=0, name=NAME)
class RowsAlongTime:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        rewriter = _Rewriter(module)
        windows = (expr for _, expr in rewriter.old.bindings if is_call(expr, *_WINDOWS))
        return rewriter.run() if any(map(_is_along_time, windows)) else module


def _is_along_time(window: Any) -> bool:
    """Whether a convolution or pooling reads several pixels of a single row, or column."""
    data, made, attrs = shape_of(window.args[0]), shape_of(window), attributes_of(window)
    size = attrs.get("pool_size") or shape_of(window.args[1])[1:3]
    return any(
        data[other] == made[other] == 1 < data[time]
        and (size[time - 1] > 1 or attrs["strides"][time - 1] > 1)
        for time, other in ((1, 2), (2, 1))
    )


def _turned(shape: Sequence[int]) -> tuple[int, ...] | None:
    """The shape with rows along time; None where there is no time that could be the rows."""
    if len(shape) == 4 and shape[1] == 1:
        return (shape[0], shape[2], 1, shape[3])
    return (shape[0], shape[1], 1, shape[2]) if len(shape) == 3 else None


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._is_turned: set[relax.Var] = set()  # old variables whose new ones are

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, "dero.reshape"):
            return self._reshape(var, expr)
        if is_call(expr, "dero.reduce"):
            return self._reduce(var, expr)
        change = _ATTRIBUTES.get(getattr(getattr(expr, "op", None), "name", ""))
        if change is None or not isinstance(var.ty, relax.TensorType):
            return None
        call: Any = expr
        shape = shape_of(var)
        several = is_call(call, *_BINARY, "dero.concat", "dero.select")
        images = call.args if several else call.args[:1]
        operands = [self._operand(image, len(shape)) for image in images]
        if _turned(shape) is None or None in operands:
            return None
        rest = list(call.args[len(images) :])
        if is_call(call, *_WEIGHTED):
            weight = self.old.constant(rest[0])
            if weight is None or weight.is_quantized:
                return None
            rest[0] = relax.const(np.ascontiguousarray(weight.values.swapaxes(1, 2)))
            rest[1:] = [_taps_turned(operand) for operand in rest[1:]]
        attrs = change(attributes_of(call), len(shape))
        self._is_turned.add(var)
        operands += [self.new(operand) for operand in rest]
        return make_call(call.op.name.removeprefix("dero."), operands, **attrs)

    def new(self, expr: relax.Expr) -> relax.Expr:
        """An operand in the shape that the network wrote."""
        new = super().new(expr)
        if isinstance(expr, relax.Var) and expr in self._is_turned:
            return self._viewed(new, shape_of(expr))
        return new

    def _anyhow(self, old: relax.Expr) -> relax.Expr:
        """An operand in one shape or the other."""
        return super().new(old)

    def _viewed(self, new: relax.Expr, shape: Sequence[int]) -> relax.Expr:
        if tuple(shape_of(new)) == tuple(shape):
            return new
        return self.emit(make_call("reshape", [new], shape=tuple(shape)))

    def _operand(self, old: relax.Expr, rank: int) -> relax.Expr | None:
        """An image, or what is broadcast to one of `rank` axes, turned; None if it cannot be."""
        shape = shape_of(old)
        if len(shape) < 2:
            return self.new(old)  # along channels, or one number for all
        padded = (*[1] * (rank - len(shape)), *shape)
        if isinstance(old, GenericConst):
            values = old.value.numpy().reshape(padded)
            values = values.swapaxes(1, 2) if rank == 4 else np.expand_dims(values, 2)
            return relax.const(np.ascontiguousarray(values))
        turned = _turned(padded)
        return None if turned is None else self._viewed(self._anyhow(old), turned)

    def _reshape(self, var: relax.Var, call: Any) -> relax.Expr | None:
        """A view of the other shape is a view of this one."""
        if isinstance(call.args[0], GenericConst):
            return None
        data, shape = self._anyhow(call.args[0]), shape_of(var)
        if tuple(shape_of(data)) == tuple(shape):
            return data
        turned = _turned(shape)
        if turned is not None and (len(shape) == 4 or tuple(shape_of(data)) == turned):
            self._is_turned.add(var)
            return self._viewed(data, turned)
        return self._viewed(data, shape)

    def _reduce(self, var: relax.Var, call: Any) -> relax.Expr | None:
        attrs, shape = attributes_of(call), shape_of(call.args[0])
        if _turned(shape) is None or isinstance(call.args[0], GenericConst):
            return None
        axes = {axis % len(shape) for axis in attrs["axes"]}
        if len(shape) == 3 and 1 not in axes:  # a width of 1 would be left over
            return None
        where = {_AXES[len(shape)][axis] for axis in axes} | ({2} if len(shape) == 3 else set())
        data = self._operand(call.args[0], len(shape))
        assert data is not None
        if attrs["keepdims"]:
            self._is_turned.add(var)
        return make_call("reduce", [data], **{**attrs, "axes": tuple(sorted(where))})


def _taps_turned(operand: relax.Expr) -> relax.Expr:
    """Numbers for each channel and tap, as convolutions with shortcuts have; others stay."""
    if not isinstance(operand, GenericConst) or len(shape_of(operand)) != 3:
        return operand
    return relax.const(np.ascontiguousarray(operand.value.numpy().swapaxes(1, 2)))


def _same(attrs: Attributes, _rank: int) -> Attributes:
    return attrs


def _swapped(*names: str) -> Callable[[Attributes, int], Attributes]:
    """Pairs of height and width, and paddings: top, left, bottom, right."""

    def change(attrs: Attributes, _rank: int) -> Attributes:
        found = {name: attrs[name] for name in names if attrs.get(name) is not None}
        pairs = {
            name: tuple(value[place] for place in ((1, 0) if len(value) == 2 else (1, 0, 3, 2)))
            for name, value in found.items()
        }
        return {**attrs, **pairs}

    return change


def _by_axis(**fillers: int) -> Callable[[Attributes, int], Attributes]:
    """One entry an axis; the width of 1 that three axes do not have gets a filler."""

    def change(attrs: Attributes, rank: int) -> Attributes:
        turned = {}
        for name, filler in fillers.items():
            if attrs[name] is not None:
                entries = [filler] * 4
                for axis, entry in zip(_AXES[rank], attrs[name]):
                    entries[axis] = entry
                turned[name] = tuple(entries)
        return {**attrs, **turned}

    return change


def _along_axis(attrs: Attributes, rank: int) -> Attributes:
    return {**attrs, "axis": _AXES[rank][attrs["axis"] % rank]}


_ATTRIBUTES: Mapping[str, Callable[[Attributes, int], Attributes]] = {
    **dict.fromkeys((*_BINARY, *_EACH_PIXEL, "dero.select"), _same),
    "dero.concat": _along_axis,
    "dero.take": _along_axis,
    "dero.conv2d": _swapped("strides", "padding", "dilation"),
    "dero.conv2d_transpose": _swapped("strides", "padding", "dilation", "output_padding"),
    "dero.shortcut_conv2d": _swapped("strides", "padding", "dilation", "pool_size", "pool_padding"),
    "dero.pool2d": _swapped("pool_size", "strides", "padding", "dilation"),
    "dero.resize2d": _swapped("size", "scale"),
    "dero.resize_bilinear": _swapped("size", "scale"),
    "dero.pad": _by_axis(pad_before=0, pad_after=0),
    "dero.slice": _by_axis(begin=0, end=1, strides=1),
}
