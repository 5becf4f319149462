"""`SplitProjections`: a dense layer of which only slices of the channels are read, as several.

    y = x @ w + b;  q, k, v = split(y)    ->    q = x @ w0 + b0;  k = x @ w1 + b1;  v = x @ w2 + b2

Attention writes the projections of queries, keys and values as one layer.  Keys and values have to
be whole before the first query is needed; in a layer of its own, a query is made when its row is.
No number is computed twice or otherwise, and no slice is copied.

Between the layer and the slices there may be reshapes and transposes, quantizations with one scale,
and a bias.  Does not handle: slices that cut the channels across the axes a reshape made of them,
layers with another reader, slices that together have more channels than the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from .layout import Layout

NAME = "SplitProjections"
_MOVES = ("relax.reshape", "relax.permute_dims")
_QUANTIZATIONS = ("relax.quantize", "relax.dequantize")


@dataclass(frozen=True)
class _Slice:
    """Elements `begin` to `end` of factor `factor` of a layer's channels.

    `steps` are what stands between layer and slice, moves excepted; `layout` is that of the slice's
    operand.
    """

    layer: Any
    steps: tuple[Any, ...]
    layout: Layout
    factor: int
    begin: int
    end: int

    @property
    def channel_factors(self) -> list[int]:
        """Their lengths, outermost first."""
        lead = _lead(self.layer, self.layout)
        return list(self.layout.sizes[lead:])

    @property
    def width(self) -> int:
        """Channels of the layer that is left."""
        length = self.layout.sizes[self.factor]
        return shape_of(self.layer)[-1] // length * (self.end - self.begin)


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._slices: dict[relax.Var, _Slice] = {}
        for var, expr in self.old.bindings:
            if is_call(expr, "relax.matmul"):
                self._slices.update(self._slices_of(var, expr))

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        found = self._slices.get(var)
        return None if found is None else self._projection(found, shape_of(var))

    # --- which layers ------------------------------------------------------------------------

    def _slices_of(self, var: relax.Var, layer: Any) -> dict[relax.Var, _Slice]:
        weight = self.old.constant(layer.args[1])
        if weight is None or len(weight.shape) != 2:
            return {}
        found: dict[relax.Var, _Slice] = {}
        if not self._follow(layer, var, (), Layout.native(shape_of(layer)), found):
            return {}
        kept = sum(part.width for part in found.values())
        return found if len(found) > 1 and kept <= weight.shape[1] else {}

    def _follow(
        self,
        layer: Any,
        var: relax.Var,
        steps: tuple[Any, ...],
        layout: Layout,
        found: dict[relax.Var, _Slice],
    ) -> bool:
        """Whether every reader of `var`, directly or behind other steps, is a slice of channels."""
        for reader in self.old.readers.get(var, [None]):
            call: Any = self.old.definitions[reader] if reader is not None else None
            if not isinstance(call, Call):
                return False
            if is_call(call, "relax.reshape"):
                moved = layout.reshaped(shape_of(call))
                done = moved is not None and self._follow(layer, reader, steps, moved, found)
            elif is_call(call, "relax.permute_dims"):
                axes = call.attrs.axes or range(len(layout.shape))[::-1]
                moved = layout.transposed([int(axis) for axis in axes])
                done = self._follow(layer, reader, steps, moved, found)
            elif self._commutes(layer, call, var, layout):
                done = self._follow(layer, reader, (*steps, call), layout, found)
            else:
                part = self._slice(layer, call, var, steps, layout)
                done = part is not None
                if part is not None:
                    found[reader] = part
            if not done:
                return False
        return True

    def _commutes(self, layer: Any, call: Any, operand: relax.Var, layout: Layout) -> bool:
        """Whether a step is the same on a part of the channels."""
        if is_call(call, *_QUANTIZATIONS):
            parameters = [self.old.constant(arg) for arg in call.args[1:]]
            return all(p is not None and p.values.size == 1 for p in parameters)
        if not is_call(call, "relax.add") or layout != Layout.native(shape_of(layer)):
            return False
        bias = self._bias(call, operand)
        return bias is not None and bias.shape[-1:] == (layout.shape[-1],) == (bias.values.size,)

    def _bias(self, call: Any, operand: relax.Expr) -> ConstantTensor | None:
        left, right = call.args
        return self.old.constant(right if left.same_as(operand) else left)

    def _slice(
        self, layer: Any, call: Any, var: relax.Var, steps: tuple[Any, ...], layout: Layout
    ) -> _Slice | None:
        bounds = self._bounds(call, var)
        if bounds is None:
            return None
        axis, begin, end = bounds
        factors = layout.axes[axis]
        if len(factors) != 1 or factors[0] < _lead(layer, layout):
            return None
        return _Slice(layer, steps, layout, factors[0], begin, end)

    def _bounds(self, call: Any, operand: relax.Var) -> tuple[int, int, int] | None:
        """The only axis that a slice cuts, and where."""
        if not is_call(call, "relax.strided_slice") or not call.args[0].same_as(operand):
            return None
        lists = [self.old.definition(arg) for arg in call.args[1:]]
        if not all(isinstance(found, relax.Tuple) for found in lists):
            return None
        numbers = [[int(getattr(f, "value", f)) for f in found.fields] for found in lists]
        before, after = shape_of(call.args[0]), shape_of(call)
        cut = [axis for axis, n in enumerate(before) if after[axis] != n]
        if len(cut) != 1 or any(step != 1 for step in (numbers[3] if len(numbers) > 3 else [])):
            return None
        axes = [axis % len(before) for axis in numbers[0]]
        begin = numbers[1][axes.index(cut[0])]
        begin += before[cut[0]] if begin < 0 else 0
        return cut[0], begin, begin + after[cut[0]]

    # --- what they become --------------------------------------------------------------------

    def _projection(self, part: _Slice, shape: tuple[int, ...]) -> relax.Expr:
        layer, layout = part.layer, part.layout
        lead = _lead(layer, layout)
        weight = self.old.constant(layer.args[1])
        assert weight is not None
        result = self.emit(
            relax.op.matmul(
                self.new(layer.args[0]),
                self.emit(_cut(weight, part, lead).expr()),
                out_dtype=layer.attrs.out_dtype or None,
            )
        )
        for step in part.steps:
            if is_call(step, "relax.add"):
                bias = self._bias_of(step)
                result = self.emit(relax.op.add(result, self.emit(_cut(bias, part, lead).expr())))
            else:
                rest = [self.new(arg) for arg in step.args[1:]]
                result = self.emit(Call(step.op, [result, *rest], step.attrs))
        sizes = list(layout.sizes)
        sizes[part.factor] = part.end - part.begin
        result = self.emit(relax.op.reshape(result, sizes))
        order = [factor for axis in layout.axes for factor in axis]
        result = self.emit(relax.op.permute_dims(result, order))
        return relax.op.reshape(result, shape)

    def _bias_of(self, call: Any) -> ConstantTensor:
        constants = [self.old.constant(arg) for arg in call.args]
        return next(constant for constant in constants if constant is not None)


SplitProjections = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _cut(constant: ConstantTensor, part: _Slice, lead: int) -> ConstantTensor:
    """A weight or a bias, whose last axis is the layer's channels, for the channels of a slice."""
    before = constant.shape[:-1]
    cut = len(before) + part.factor - lead

    def taken(array: np.ndarray) -> np.ndarray:
        split = array.reshape((*before, *part.channel_factors))
        kept = split.take(range(part.begin, part.end), axis=cut)
        return kept.reshape((*before, part.width))

    return constant.moved(taken)


def _lead(layer: Any, layout: Layout) -> int:
    """How many factors lie in front of those of the channels."""
    channels, count = shape_of(layer)[-1], len(layout.sizes)
    length = 1
    while length < channels:
        count -= 1
        length *= layout.sizes[count]
    return count
