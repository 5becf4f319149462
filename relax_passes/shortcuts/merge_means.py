"""`MergeMeans`: the sum of two means is the mean of the sum.

    add(mean(a), mean(b))        ->   mean(add(a, b))
    add(mean(a), f(mean(b)))     ->   mean(add(a, f(b)))
    add(n * mean(a), mean(b))    ->   n * mean(add(a, b / n))

for means of float32 images of one shape over the same windows, or over the same axes, that nothing
else reads: poolings and reductions, sums among them, whose number of elements is a factor then.
`f` is any chain of factors and summands for each channel, slices and paddings of channels,
concatenations and sums, all of whose leaves are such means (a summand only where no window reaches
over the border), and, behind a reduction, reshapes that keep the channels last.  A reorganized
network pools main path and shortcut apart, at its transitions and at its end; merged, the shortcut
is one over a convolution like the others, which `FuseShortcuts` can fuse.  Equal but for float
rounding.

Does not handle: int8, where each mean is rounded to a scale of its own, and clamped means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, shape_of
from ..operators import attributes_of, make_call

NAME = "MergeMeans"
_BINARY = ("dero.add", "dero.subtract", "dero.multiply", "dero.divide")
_CLAMP = ("minimum", "maximum")


@tvm.transform.module_pass(opt_level=0, name=NAME)
class MergeMeans:
    """The pass; see the module's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with means merged; the same module if there are none to merge."""
        while (rewriter := _Rewriter(module)).found:
            module = rewriter.run()
        return module


@dataclass(frozen=True, eq=False)
class _Mean:
    """A pooling or reduction without its data: what two have to agree in."""

    call: Any
    kind: tuple  # of what, sums and averages being one

    @property
    def elements(self) -> int:
        """How many elements a result is the average of."""
        attrs = attributes_of(self.call)
        if is_call(self.call, "dero.pool2d"):
            return int(np.prod(attrs["pool_size"]))
        shape = shape_of(self.call.args[0])
        return int(np.prod([shape[axis] for axis in attrs["axes"]]))

    @property
    def sums(self) -> bool:
        return attributes_of(self.call)["kind"] == "sum"

    @property
    def borders(self) -> bool:
        """Whether windows reach over the border, where a summand does not go along."""
        return is_call(self.call, "dero.pool2d") and any(attributes_of(self.call)["padding"])


class _NotMeans(Exception):
    """A branch is no chain on means like the other's."""


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self.found: dict[relax.Var, tuple[relax.Var, relax.Var]] = {}
        self._rewritten: dict[relax.Var, relax.Expr] = {}
        taken: set[relax.Var] = set()
        for var, expr in self.old.bindings:
            pair = self._pair(var, expr)
            if pair is not None and taken.isdisjoint(pair):
                self.found[var] = pair
                taken |= {var, *pair}

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if var not in self.found:
            return None
        main, branch = self.found[var]
        mean, factor = self._scaled_mean(main)
        call = mean.call
        added = self._unpooled(branch, mean)
        clamp = {key: attributes_of(expr)[key] for key in _CLAMP}
        if factor != 1.0:
            added = self.emit(make_call("multiply", [added, _number(1.0 / factor)]))
        total = self.emit(make_call("add", [self.new(call.args[0]), added]))
        attrs = attributes_of(call) | (clamp if factor == 1.0 else {})
        result = self.emit(make_call(call.op.name.removeprefix("dero."), [total], **attrs))
        if factor != 1.0:
            result = self.emit(make_call("multiply", [result, _number(factor)], **clamp))
        return self._reshaped(result, shape_of(expr))

    def _pair(self, var: relax.Var, expr: Any) -> tuple[relax.Var, relax.Var] | None:
        """The operands of an addition, a mean first, if they can be merged."""
        if not is_call(expr, "dero.add") or dtype_of(expr) != "float32":
            return None
        left, right = expr.args
        if not isinstance(left, relax.Var) or not isinstance(right, relax.Var):
            return None
        for main, branch in ((left, right), (right, left)):
            if main.same_as(branch):
                continue
            try:
                mean, _ = self._scaled_mean(main)
                chain = {*self._chain(main, mean), *self._chain(branch, mean)}
            except _NotMeans:
                continue
            readers = {reader for link in chain for reader in self.old.readers[link]}
            if readers <= chain | {var}:
                return main, branch
        return None

    def _scaled_mean(self, var: relax.Expr) -> tuple[_Mean, float]:
        """A mean and the number that it is multiplied with.  Raises `_NotMeans`."""
        call, factor = self._source(var), 1.0
        if is_call(call, "dero.multiply"):
            data, others = _linear(self.old, call)
            constant = self.old.constant(others[0]) if others else None
            values = np.zeros(1) if constant is None else constant.values
            if len(data) == 1 and values.flat[0] and (values == values.flat[0]).all():
                call, factor = self._source(data[0]), float(values.flat[0])
        mean = _mean(call)
        if mean is None:
            raise _NotMeans
        return mean, factor

    def _source(self, var: relax.Expr) -> Any:
        """What a variable is computed by, behind a reduction through reshapes."""
        call: Any = self.old.definition(var)
        while is_call(call, "dero.reshape") and shape_of(call)[-1:] == shape_of(call.args[0])[-1:]:
            if shape_of(call)[-1:] != (prod(shape_of(call)),):
                break
            call = self.old.definition(call.args[0])
        return call

    def _chain(self, branch: relax.Expr, like: _Mean) -> Iterator[relax.Var]:
        """The tensors from `branch` back to means of the same kind as `like`, these included.

        Raises `_NotMeans` if there is anything else.
        """
        if not isinstance(branch, relax.Var):
            raise _NotMeans
        yield branch
        call = self._source(branch)
        if call is not self.old.definition(branch):  # a reshape, of which the others are read
            yield from self._chain(self.old.definition(branch).args[0], like)
            return
        mean = _mean(call)
        if mean is not None:
            if mean.kind != like.kind:
                raise _NotMeans
            return
        data, others = _linear(self.old, call)
        if like.kind[0] == "reduce" and len(like.kind) > 2:  # of something else than one image
            raise _NotMeans
        summand = bool(others) and is_call(call, "dero.add", "dero.subtract")
        summand = summand or (is_call(call, "dero.pad") and attributes_of(call)["value"] != 0.0)
        flat = not is_call(call, *_BINARY) and len(shape_of(call)) != 4
        if not data or flat or (summand and like.borders):
            raise _NotMeans
        for operand in data:
            yield from self._chain(operand, like)

    def _unpooled(self, branch: relax.Expr, like: _Mean) -> relax.Expr:
        """`branch` as a chain on what its means are of; a new expression."""
        if branch not in self._rewritten:
            self._rewritten[branch] = self._on_images(branch, like)
        return self._rewritten[branch]

    def _on_images(self, branch: relax.Expr, like: _Mean) -> relax.Expr:
        call = self._source(branch)
        mean = _mean(call)
        if mean is not None:
            factor = (mean.elements if mean.sums else 1) / (like.elements if like.sums else 1)
            image = self.new(call.args[0])
            if factor == 1.0:
                return image
            return self.emit(make_call("multiply", [image, _number(factor)]))
        image_shape = shape_of(like.call.args[0])
        data, _ = _linear(self.old, call)
        args = []
        for arg in call.args:
            if any(arg.same_as(operand) for operand in data):
                args.append(self._unpooled(arg, like))
            else:
                constant = self.old.constant(arg)
                assert constant is not None  # what `_linear` found
                summand = like.sums and is_call(call, "dero.add", "dero.subtract")
                args.append(
                    relax.const(
                        _last(constant.values) / np.float32(like.elements if summand else 1)
                    )
                )
        attrs = attributes_of(call)
        if is_call(call, "dero.slice"):
            length = (1, *image_shape[1:3])
            attrs["end"] = (*length, attrs["end"][-1])
        if is_call(call, "dero.pad") and like.sums:
            attrs["value"] /= like.elements
        return self.emit(make_call(call.op.name.removeprefix("dero."), args, **attrs))

    def _reshaped(self, result: relax.Expr, shape: tuple[int, ...]) -> relax.Expr:
        if shape_of(result) == shape:
            return result
        return self.emit(make_call("reshape", [result], shape=shape))


def _mean(call: Any) -> _Mean | None:
    """An average or sum over windows or over height and width of one image, not clamped."""
    if not isinstance(call, Call) or not is_call(call, "dero.pool2d", "dero.reduce"):
        return None
    attrs = attributes_of(call)
    if dtype_of(call) != "float32" or any(attrs[key] is not None for key in _CLAMP):
        return None
    shape = shape_of(call.args[0])
    if attrs["kind"] not in ("mean", "average", "sum") or not isinstance(call.args[0], relax.Var):
        return None
    if is_call(call, "dero.pool2d"):
        if any(attrs["padding"]) and attrs["kind"] == "average" and not attrs["count_include_pad"]:
            return None
        names = ("pool_size", "strides", "padding", "dilation")
        return _Mean(call, ("pool2d", shape[:3], *(attrs[name] for name in names)))
    if len(shape) == 4 and shape[0] == 1 and tuple(attrs["axes"]) == (1, 2):
        return _Mean(call, ("reduce", shape[:3]))
    return _Mean(call, ("reduce", shape, tuple(attrs["axes"]), attrs["keepdims"]))


def _linear(old: Any, call: Any) -> tuple[list[relax.Expr], list[relax.Expr]]:
    """Operands that are computed and constant ones, of an operator that treats pixels alike.

    No computed ones if it does not.
    """
    if is_call(call, *_BINARY):
        attrs = attributes_of(call)
        data = [arg for arg in call.args if old.constant(arg) is None]
        others = [arg for arg in call.args if old.constant(arg) is not None]
        sums = is_call(call, "dero.add", "dero.subtract")
        constants = [old.constant(arg).values for arg in others]
        usable = all(c.size == 1 or c.size == c.shape[-1] for c in constants)
        same = all(shape_of(arg) == shape_of(call) for arg in data)
        divides = is_call(call, "dero.divide") and data and not call.args[0].same_as(data[0])
        if any(attrs[key] is not None for key in _CLAMP) or not usable or not same or divides:
            return [], []
        return (data, others) if sums or len(data) == 1 else ([], [])
    if is_call(call, "dero.slice", "dero.pad"):
        attrs = attributes_of(call)
        shape = shape_of(call.args[0])
        if shape_of(call)[:-1] == shape[:-1] and not any(attrs.get("pad_before", (0,))[:-1]):
            return list(call.args), []
    if is_call(call, "dero.concat"):
        rank = len(shape_of(call))
        if attributes_of(call)["axis"] % rank == rank - 1:
            return list(call.args), []
    return [], []


def _last(values: np.ndarray) -> np.ndarray:
    """Numbers for each channel, or one, of whatever rank, as a vector."""
    return np.ascontiguousarray(values.reshape(-1), np.float32)


def _number(value: float) -> relax.Expr:
    return relax.const(np.full(1, value, np.float32))
