"""The row kernels of `shortcut_conv2d`: one loop nest for the convolution and its shortcut.

    for each pixel of the output row, for each block of output channels:
        accumulate the convolution, tap by tap
        for each channel of the block:
            requantize, activate; sum the shortcut's window of the channels it folds; write the sum

A block is one channel, except where a normalisation is computed in front of an int8 convolution:
there each normalised element serves a few channels at once, which share its cost.  (Only as many
as divide the channels of a group, so that a block reads the same data.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from . import fixed_point, indexing
from .conv2d import Geometry
from .pool2d import Axis
from .shortcut_steps import CONV, DATA, StepEmitter, Term, decode
from .signature import Signature
from .unary import function_of

_BUFFERS = {
    "data": "X", "weight": "Wt", "bias": "B", "scale": "scale_of", "offset": "offset_of",
    "tap_bias": "Tb", "multiplier": "M", "shift": "S", "constants": "K", "tables": "F",
}  # fmt: skip
_LARGEST_BLOCK = 8  # output channels that share a normalised element


def float_row(signature: Signature, axes: tuple[Axis, Axis]) -> tirx.PrimFunc:
    """The row kernel for float32."""
    filters = signature.output.channels
    with _kernel(signature, axes) as k:
        with k.channels(1) as (ow, oc, acc):
            k.accumulate(ow, oc, acc, lambda start, iw, ic: k.element(start, iw, oc, ic))
            activated = acc[0]
            if signature["function"] is not None:
                activated = function_of(signature.attrs, activated)
            else:
                low, high = signature["minimum"], signature["maximum"]
                activated = fixed_point.clamp(activated, low, high, "float32")
            fold = signature["fold"]
            guarded = int(filters * fold > k.in_channels)
            term = Term(DATA, 0, 1, count=fold, stride=filters, end=k.in_channels, guarded=guarded)
            shortcut = k.window_sum(term, oc, ow)
            total = activated + k.operands["scale"][oc] * shortcut + k.operands["offset"][oc]
            low, high = signature["sum_minimum"], signature["sum_maximum"]
            k.write(ow, oc, fixed_point.clamp(total, low, high, "float32"))
    return k.function


def integer_row(signature: Signature, axes: tuple[Axis, Axis]) -> tirx.PrimFunc:
    """The row kernel for int8."""
    steps = decode(signature["steps"])
    normalisation = signature["normalisation"]
    zero_in, zero_out = signature["input_zero_point"], signature["output_zero_point"]
    low, high = fixed_point.int8_limits(signature)
    with _kernel(signature, axes) as k:
        constants, tables = k.operands["constants"], k.operands["tables"]
        block = _block(k.geometry.filters_per_group) if normalisation >= 0 else 1
        with k.channels(block) as (ow, first, acc):

            def element(start, iw, ic):
                if normalisation < 0:
                    return T.cast(k.element(start, iw, first, ic), "int32") - zero_in
                position = k.geometry.channel(first, ic)

                def at_pixel(term: Term, channel):
                    return T.cast(k.element(start, iw, first, ic), "int32") - term.zero

                emitter = StepEmitter(steps, constants, tables, {DATA: at_pixel})
                return emitter.value(normalisation, position) - zero_in

            k.accumulate(ow, first, acc, element)
            with _loop("b", block) as b:
                oc = first + b
                conv = fixed_point.multiply(
                    acc[b],
                    k.operands["multiplier"][oc],
                    k.operands["shift"][oc],
                    signature["rounding"],
                )
                conv = fixed_point.hold("conv", fixed_point.clamp(conv + zero_out, low, high))
                sources = {
                    DATA: lambda term, channel: k.window_sum(term, channel, ow),
                    CONV: lambda term, channel: conv - term.zero,
                }
                emitter = StepEmitter(steps, constants, tables, sources)
                result = emitter.value(len(steps) - 1, oc)
                k.write(ow, oc, T.cast(result, "int8"))
    return k.function


def _block(channels: int) -> int:
    return max(size for size in range(1, _LARGEST_BLOCK + 1) if channels % size == 0)


class _Kernel:
    """A kernel under construction: its operands, its loops, and what several places emit."""

    def __init__(self, signature: Signature, axes: tuple[Axis, Axis]) -> None:
        data, output = signature.inputs[0], signature.output
        self.function: Any = None  # when it is finished
        self.geometry = Geometry(signature)
        self.in_channels = data.channels
        self.integer = data.dtype == "int8"
        self.accumulator = "int32" if self.integer else "float32"
        self._axes = axes
        names = ["weight", "bias", *_trailing(signature)]
        T.func_name("shortcut_conv2d_row")
        self.row = T.arg("row", tirx.Var("row", "int32"))
        pointers = [T.arg("data", T.handle(data.dtype))]
        self.data_rows = T.arg("data_rows", tirx.Var("data_rows", "int32"))
        for name, spec in zip(names, signature.inputs[1:]):
            pointers.append(T.arg(name, T.handle(spec.dtype)))
        out = T.arg("out", T.handle(output.dtype))
        sizes = map(indexing.buffer_elements, signature.inputs)
        self.operands = {
            name: _named(_BUFFERS[name], T.decl_buffer((size,), spec.dtype, data=pointer))
            for name, size, spec, pointer in zip(
                ["data", *names], sizes, signature.inputs, pointers
            )
        }
        self._out = _named("O", T.decl_buffer((output.row_stride,), output.dtype, data=out))
        vertical = axes[0]
        position = self.row
        if self.geometry.batch > 1:
            position = tirx.truncmod(self.row, self.geometry.out_height)
        self._top = _name("top", vertical.origin(position))
        self._first_row = _name("first_row", vertical.first(self._top))
        self._tap_rows = _name("tap_rows", vertical.count(self._top, self._first_row))

    @contextmanager
    def channels(self, block: int) -> Iterator[tuple[Any, Any, Any]]:
        """The loops over pixels and blocks: the pixel, the first channel, the accumulators."""
        with _loop("ow", self.geometry.out_width) as ow:
            with _loop("oc" if block == 1 else "block", self.geometry.filters // block) as group:
                first = group if block == 1 else _name("first", group * block)
                acc = _named("acc", T.alloc_buffer((block,), self.accumulator))
                with _loop("b", block) as b:
                    T.buffer_store(acc, self.operands["bias"][first + b], [b])
                self._block = block
                yield ow, first, acc

    def accumulate(self, ow: Any, first: Any, acc: Any, element: Callable) -> None:
        """Add the convolution to the accumulators; `element(start, iw, ic)` is what it reads."""
        g = self.geometry
        with _loop("kh", g.kernel_h) as kh:
            ih = _name("ih", g.input_row(self.row, kh))
            with _if(tirx.all(ih >= 0, ih < g.height)):
                start = self._row_start(ih)
                with _loop("kw", g.kernel_w) as kw:
                    iw = _name("iw", ow * g.stride_w + kw * g.dilation_w - g.left)
                    with _if(tirx.all(iw >= 0, iw < g.width)):
                        if "tap_bias" in self.operands:
                            tap = (first * g.kernel_h + kh) * g.kernel_w + kw
                            T.buffer_store(acc, acc[0] + self.operands["tap_bias"][tap], [0])
                        with _loop("ic", g.depth) as ic:
                            x = fixed_point.hold("x", element(start, iw, ic), self.accumulator)
                            with _loop("b", self._block) as b:
                                weight = self.operands["weight"][
                                    g.weight_index(first + b, kh, kw, ic)
                                ]
                                if self.integer:
                                    weight = T.cast(weight, "int32")
                                T.buffer_store(acc, acc[b] + x * weight, [b])

    def element(self, start: Any, iw: Any, oc: Any, ic: Any) -> Any:
        """An element that the convolution of output channel `oc` reads, in the row at `start`."""
        return self.operands["data"][self.geometry.data_index(start, iw, oc, ic)]

    def _row_start(self, y: Any) -> Any:
        start = _named("start", T.alloc_buffer((1,), "int32"))
        T.buffer_store(start, self.geometry.row_start(self.row, self.data_rows, y), [0])
        return start[0]

    def window_sum(self, term: Term, channel: Any, ow: Any) -> Any:
        """The sum of the term's channels over the shortcut's window, for one channel and pixel."""
        vertical, horizontal = self._axes
        left = _name("left", horizontal.origin(ow))
        first_column = _name("first_column", horizontal.first(left))
        columns = horizontal.count(left, first_column)
        total = _named("sum", T.alloc_buffer((1,), self.accumulator))
        T.buffer_store(total, tirx.const(0, self.accumulator), [0])
        with _loop("j", term.count) as j:
            position = channel + (j * term.stride + term.first)
            with _if(_inside(term, position)):
                with _loop("kh", self._tap_rows) as kh:
                    start = self._row_start(vertical.tap(self._top, self._first_row + kh))
                    with _loop("kw", columns) as kw:
                        x = horizontal.tap(left, first_column + kw)
                        index = start + x * self.geometry.data_pixel + position
                        value = self.operands["data"][index]
                        if self.integer:
                            value = T.cast(value, "int32") - term.zero
                        T.buffer_store(total, total[0] + value, [0])
        return total[0]

    def write(self, ow: Any, oc: Any, value: Any) -> None:
        """Store an output element."""
        T.buffer_store(self._out, value, [ow * self.geometry.out_pixel + oc])


@contextmanager
def _kernel(signature: Signature, axes: tuple[Axis, Axis]) -> Iterator[Any]:
    """A kernel to fill; afterwards it has the finished `function`."""
    with IRBuilder() as builder:
        with T.prim_func(is_private=True, s_tir=True):
            kernel = _Kernel(signature, axes)
            yield kernel
    kernel.function = tvm.s_tir.renew_defs(builder.get())


def _trailing(signature: Signature) -> tuple[str, ...]:
    if signature.inputs[0].dtype == "int8":
        return "multiplier", "shift", "constants", "tables"
    return ("scale", "offset", "tap_bias")[: len(signature.inputs) - 3]


def _inside(term: Term, position: Any) -> Any:
    """Whether a channel takes part in the sum; None if all of them do."""
    if not term.guarded:
        return None
    if term.first >= term.begin and term.stride >= 0:
        return position < term.end
    return tirx.all(position >= term.begin, position < term.end)


@contextmanager
def _if(condition: Any) -> Iterator[None]:
    if condition is None:
        yield
        return
    with T.If(condition):
        with T.Then():
            yield


@contextmanager
def _loop(name: str, extent: Any) -> Iterator[Any]:
    """A loop from 0, whose variable is called `name`; none if it would run once."""
    if isinstance(extent, int) and extent == 1:
        yield 0
        return
    with T.serial(extent) as index:
        yield _named(name, index)


def _named(name: str, value: Any) -> Any:
    IRBuilder.name(name, value)
    return value


def _name(name: str, value: Any) -> Any:
    """A name for an int32 expression, in the kernel under construction."""
    return fixed_point.let(name, value, "int32", lambda named: named)
