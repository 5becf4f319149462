"""`SpellShortcuts`: shortcuts said with pools of windows and slices, pads and sums of channels.

    sum(stack(split(x, C)), 0)                  ->   x[:, :C] + x[:, C:2C] + ...
    sum(reshape(x, [1, k, C, H, W]), 1)         ->   x[:, :C] + x[:, C:2C] + ...
    conv2d(x, ones, groups=channels)            ->   avg_pool2d(x) * size
    x[:, :, ::2, ::2]                           ->   avg_pool2d(x, 1, strides=2)

A reorganized network adds to every convolution's result a sum of windows and channels of its
input, and its author may have written that sum with any operators that move elements and add them
up.  What such a chain computes is read element by element (`ElementSum`); if it is the same for
every pixel, it is written again in the one form that later passes read and that keeps images of
rank four:

    pool the windows, add up slices of channels, multiply and add one number a channel

Only tensors that are added to a convolution's result are looked at, through operators on single
elements and poolings in between.  What keeps its form: chains that move pixels or channels about
(a channel shuffle), and batches of more than one image.

Does not handle: NHWC networks whose convolutions are channels-last as they are imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import Dataflow, DataflowRewriter, dtype_of, is_call, shape_of
from ..shortcuts.channel_runs import Run, runs, uniform
from ..shortcuts.channel_sums import ChannelSum, NotLinear
from .element_sums import ElementSum
from .image_sums import channel_sum
from .region_reader import ON_KNOWN, RegionReader, Source

NAME = "SpellShortcuts"
_MOST_SLICES = 256
_NEARLY_ONE = 1e-7  # k * k times 1 / (k * k), of which one was rounded to float32
_SUMS = ("relax.add", "relax.sum", "relax.mean")
_BETWEEN = tuple(  # besides what `ON_KNOWN` has
    f"relax.{name}"
    for name in (
        "add subtract multiply divide mean reshape minimum maximum nn.avg_pool2d nn.max_pool2d "
        "erf exp nn.gelu_tanh nn.softplus"
    ).split()
)


@tvm.transform.module_pass(opt_level=0, name=NAME)
class SpellShortcuts:
    """The pass; see the module's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with shortcuts spelled as sums of channels, if there are any."""
        rewriter = _Rewriter(module)
        return rewriter.run() if rewriter.forms else module


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._reader = RegionReader(self.old)
        self._behind = _Behind(self.old)
        self.forms: dict[relax.Var, list[Run]] = {}
        self._offsets: dict[relax.Var, np.ndarray] = {}
        self._looked_at = set(self._convolutions_behind_maxima())
        for var, expr in self.old.bindings:
            if is_call(expr, *_SUMS):
                for operand in self._beside_convolution(var, expr):
                    self._look_at(operand)

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if var not in self.forms:
            return None
        channels = shape_of(var)[1]
        parts = [self._written(run, channels, var) for run in self.forms[var]]
        total = parts[0]
        for part in parts[1:]:
            total = self.emit(relax.op.add(total, part))
        if self._offsets[var].any():
            total = self.emit(relax.op.add(total, _vector(self._offsets[var])))
        return total

    # --- where shortcuts are -----------------------------------------------------------------

    def _beside_convolution(self, var: relax.Var, call: Any) -> Iterator[relax.Var]:
        """What is added to a convolution's result: operands of an addition, or a sum of a stack."""
        if is_call(call, "relax.add"):
            left, right = call.args
            for operand, other in ((left, right), (right, left)):
                if isinstance(operand, relax.Var) and self._behind.convolution(other):
                    yield operand
            return
        value = self._reader.moved(var)
        if value is None:
            return
        sources = self._reader.sources(value)
        if len(sources) > 1 and any(self._behind.convolution(s.base) for s in sources):
            yield var

    def _convolutions_behind_maxima(self) -> Iterator[relax.Var]:
        """What one int8 convolution will compute, added where nothing is fused: it stays one."""
        for _, call in self.old.bindings:
            if not is_call(call, "relax.add"):
                continue
            for operand, other in (call.args, reversed(list(call.args))):
                if self._behind.quantized_convolution(operand) and not self._behind.convolution(
                    other, without="relax.nn.max_pool2d"
                ):
                    yield operand

    def _look_at(self, var: relax.Var) -> None:
        """Find the form of `var`, or of what it is made of by operators on single elements."""
        if var in self._looked_at or prod(shape_of(var)) == 1:  # one number is no shortcut
            return
        self._looked_at.add(var)
        value = self._reader.moved(var)
        if value is not None and dtype_of(var) == "float32":
            try:
                total = channel_sum(value, self._reader.numberings)
                self._keep(var, value, total)
                return
            except NotLinear:
                pass
        call = self.old.definition(var)
        around = ("relax.concat", "relax.strided_slice", "relax.nn.pad")
        if _is_between(call) or is_call(call, *around):
            for operand in self._operands(call):
                self._look_at(operand)

    def _operands(self, call: Any) -> Iterator[relax.Var]:
        for arg in call.args:
            fields = self.old.definition(arg)
            members = fields.fields if isinstance(fields, relax.Tuple) else [arg]
            yield from (member for member in members if isinstance(member, relax.Var))

    def _keep(self, var: relax.Var, value: ElementSum, total: ChannelSum) -> None:
        found = runs(total)
        if not found or sum(run.count for run in found) > _MOST_SLICES:
            raise NotLinear("is no sum of slices")
        if any(dtype_of(run.source.base) != "float32" for run in found):
            raise NotLinear("is made of other numbers than float32")
        self.forms[var], self._offsets[var] = found, total.offset

    # --- the form ----------------------------------------------------------------------------

    def _written(self, run: Run, channels: int, var: relax.Var) -> relax.Expr:
        """A run as an expression of rank four."""
        image = self._written_source(run.source)
        factors = run.coefficients
        if run.window is not None:
            size, strides, padding = run.window
            image = self.emit(
                relax.op.nn.avg_pool2d(
                    image, pool_size=size, strides=strides, padding=padding, count_include_pad=True
                )
            )
            factors = factors * (size[0] * size[1])
        total: relax.Expr | None = None
        for j in range(run.count):
            piece = self._slice(image, run, run.first + j * run.stride, channels)
            if piece is not None:
                total = piece if total is None else self.emit(relax.op.add(total, piece))
        assert total is not None
        return self._scaled(total, np.where(run.reads().any(0), factors, factors.max()))

    def _slice(self, image: relax.Expr, run: Run, start: int, channels: int) -> relax.Expr | None:
        """Channels `start` and following of an image, zeros where the run has none."""
        begin, end = max(run.begin, start), min(run.end, start + channels)
        if begin >= end:
            return None
        if (begin, end) != (0, shape_of(image)[1]):
            image = self.emit(relax.op.strided_slice(image, axes=[1], begin=[begin], end=[end]))
        before, after = begin - start, start + channels - end
        if before or after:
            image = self.emit(relax.op.nn.pad(image, [0, 0, before, after, 0, 0, 0, 0]))
        return image

    def _scaled(self, image: relax.Expr, factors: np.ndarray) -> relax.Expr:
        same = uniform(factors)
        if same is not None and abs(same - 1.0) < _NEARLY_ONE:
            return image
        factor = _vector(factors) if same is None else relax.const(np.float32(same))
        return self.emit(relax.op.multiply(image, factor))

    def _written_source(self, source: Source) -> relax.Expr:
        image = self.new(source.base)
        for length in range(1, len(source.names) + 1):
            call = self._reader.calls[Source(source.base, source.names[:length])]
            others = [self.new(arg) for arg in call.args[1:]]
            image = self.emit(Call(call.op, [image, *others], call.attrs))
        return image


def _vector(values: np.ndarray) -> relax.Expr:
    return relax.const(values.astype(np.float32).reshape(1, -1, 1, 1))


class _Behind:
    """Which tensors come from a convolution; what many sums lie behind is looked at once."""

    def __init__(self, old: Dataflow) -> None:
        self._old = old
        self._quantized: dict[relax.Expr, bool] = {}
        self._reached: dict[tuple[relax.Var, str], bool] = {}

    def quantized_convolution(self, operand: relax.Expr) -> bool:
        """Whether a tensor is what one int8 convolution will compute."""
        passed = []
        while isinstance(operand, relax.Var) and operand not in self._quantized:
            passed.append(operand)
            call = self._old.definition(operand)
            if not is_call(call, "relax.quantize", "relax.dequantize", "relax.add"):
                self._quantized[operand] = is_call(call, "relax.nn.conv2d") and is_call(
                    self._old.definition(call.args[0]), "relax.dequantize"
                )
                break
            operand = call.args[0]
        found = self._quantized.get(operand, False)
        self._quantized.update(dict.fromkeys(passed, found))
        return found

    def convolution(self, expr: relax.Expr, without: str = "") -> bool:
        """Whether operators on single elements and poolings lead back to a convolution.

        `without` names an operator that is not looked through.
        """
        waiting = [expr]
        while waiting:
            var = waiting[-1]
            if not isinstance(var, relax.Var) or (var, without) in self._reached:
                waiting.pop()
                continue
            sources = self._sources(var, without)
            unknown = [s for s in sources if (s, without) not in self._reached]
            if unknown:
                waiting += unknown
                continue
            is_one = is_call(self._old.definition(var), "relax.nn.conv2d")
            self._reached[var, without] = is_one or any(
                self._reached[source, without] for source in sources
            )
        return isinstance(expr, relax.Var) and self._reached[expr, without]

    def _sources(self, var: relax.Var, without: str) -> list[relax.Var]:
        """The tensors that are looked at for this one."""
        call = self._old.definition(var)
        if not _is_between(call) or call.op.name == without:
            return []
        args = [arg for arg in call.args if isinstance(arg, relax.Var)]
        moving = [arg for arg in args if self._old.constant(arg) is None]
        joins = is_call(call, "relax.add", "relax.subtract") and len(moving) > 1
        return [] if joins else moving


def _is_between(call: Any) -> bool:
    """Whether shortcuts are looked for beyond an operator: one on single elements, or a pooling."""
    return call in ON_KNOWN or is_call(call, *_BETWEEN)
