"""`SpellNormalizations`: normalizations that are written in arithmetic, as one operator each.

    d = x - mean(x, axes);  d * rsqrt(mean(d * d, axes) + eps)       ->  layer_norm, group_norm
    r = rsqrt(mean(d * d, axes) + eps) * w;  x * r + (b - mean * r)  ->  the same, times w, plus b
    x * rsqrt(mean(x * x, axes) + eps)                               ->  rms_norm
    reshape(norm(reshape(x)))                                        ->  norm(x) of grouped channels
    norm(x) * w + b                                                  ->  norm(x, w, b)

Over one axis it is a layer's normalization, over all but the batch or all but batch and channels a
group's.  A division by the root, powers of 0.5 and -0.5 and of 2, and means whose axes a reshape
puts back count like the forms above.

Precondition: `DecomposeComposites`, which has written variances as means.  Does not handle: means
over other axes, factors that are not one number a channel: these stay arithmetic.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from .normalization_forms import NormalizationForms, Variance

NAME = "SpellNormalizations"
_NORMALIZATIONS = ("relax.nn.layer_norm", "relax.nn.group_norm", "relax.nn.rms_norm")


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._forms = NormalizationForms(self.old)

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, "relax.multiply", "relax.divide", "relax.add", "relax.subtract"):
            for form in (self._affine, self._scaled, self._line):
                if (found := form(expr)) is not None:
                    return found
        elif is_call(expr, "relax.reshape"):
            return self._back(expr)
        return None

    def _back(self, call: Any) -> relax.Expr | None:
        """What a reshape gives the shape that it had before another one."""
        inner: Any = self.emitted(self.new(call.args[0]))
        if not is_call(inner, "relax.reshape") or shape_of(inner.args[0]) != shape_of(call):
            return None
        return inner.args[0]

    # --- forms of a normalization ------------------------------------------------------------

    def _scaled(self, call: Any) -> relax.Expr | None:
        """A difference times the reciprocal of its deviation, or divided by the deviation."""
        for data, other in (call.args, reversed(list(call.args))):
            if is_call(call, "relax.divide"):
                variance = self._forms.root(other) if other.same_as(call.args[1]) else None
                factor = None
            elif is_call(call, "relax.multiply"):
                variance, factor = self._forms.reciprocal(other)
            else:
                return None
            if variance is not None and self._forms.is_difference(data, variance):
                result = self._normalized(variance)
                return self._with(result, factor, None)
        return None

    def _line(self, call: Any) -> relax.Expr | None:
        """Data times a factor, less the mean times the same factor, plus a constant."""
        if not is_call(call, "relax.add", "relax.subtract"):
            return None
        pairs = [call.args] if is_call(call, "relax.subtract") else []
        pairs = pairs or [call.args, list(reversed(list(call.args)))]
        for product, rest in pairs:
            product, rest, offset = self.old.definition(product), self.old.definition(rest), None
            if is_call(call, "relax.add"):
                if not is_call(rest, "relax.subtract") or self.old.constant(rest.args[0]) is None:
                    continue
                offset, rest = rest.args[0], self.old.definition(rest.args[1])
            if not (is_call(product, "relax.multiply") and is_call(rest, "relax.multiply")):
                continue
            for data, scale in (product.args, reversed(list(product.args))):
                variance, factor = self._forms.reciprocal(scale)
                if variance is None or variance.mean is None:
                    continue
                others = [arg for arg in rest.args if not self._forms.same(arg, scale)]
                if not (self._forms.same(data, variance.data) and len(others) == 1):
                    continue
                if not self._forms.same(others[0], variance.mean):
                    continue
                return self._with(self._normalized(variance), factor, offset)
        return None

    # --- what they become --------------------------------------------------------------------

    def _normalized(self, variance: Variance) -> relax.Expr | None:
        source = self.old.definition(variance.data)
        if variance.mean is not None and is_call(source, "relax.reshape"):
            groups = _groups_of(shape_of(source.args[0]), shape_of(variance.data), variance.axes)
            if groups is not None:
                whole = group_norm(self.new(source.args[0]), *groups, variance.epsilon)
                return relax.op.reshape(self.emit(whole), shape_of(variance.data))
        data, shape, axes = self.new(variance.data), shape_of(variance.data), variance.axes
        if len(axes) == 1:
            one, zero = _vectors(shape[axes[0]])
            if variance.mean is None:
                return relax.op.nn.rms_norm(data, one, list(axes), variance.epsilon)
            return relax.op.nn.layer_norm(data, one, zero, list(axes), variance.epsilon)
        if variance.mean is None or len(shape) < 3 or 0 in axes:
            return None
        kept = [axis for axis in range(1, len(shape)) if axis not in axes]
        if not kept:
            return group_norm(data, 1, 1, variance.epsilon)
        if len(kept) == 1 and kept[0] in (1, len(shape) - 1):
            return group_norm(data, kept[0], shape[kept[0]], variance.epsilon)
        return None

    def _affine(self, call: Any) -> relax.Expr | None:
        """A factor or a summand for each channel as part of the normalization."""
        if is_call(call, "relax.divide", "relax.subtract"):
            return None
        for data, other in (call.args, reversed(list(call.args))):
            constant = self.old.constant(other)
            norm: Any = self.emitted(self.new(data)) if isinstance(data, relax.Var) else None
            if constant is None or not is_call(norm, *_NORMALIZATIONS):
                continue
            if shape_of(call) != shape_of(data) or self.old.sole_reader(data) is None:
                continue
            return _affine(norm, constant.real(), is_call(call, "relax.multiply"))
        return None

    def _with(
        self, result: relax.Expr | None, factor: relax.Expr | None, offset: relax.Expr | None
    ) -> relax.Expr | None:
        """`result` times and plus constants, as part of it or behind it."""
        for operand, multiplies in ((factor, True), (offset, False)):
            if result is None or operand is None:
                continue
            constant = self.old.constant(operand)
            assert constant is not None  # as the forms have it
            within = _affine(result, constant.real(), multiplies)
            operation = relax.op.multiply if multiplies else relax.op.add
            if within is None:
                within = operation(self.emit(result), self.new(operand))
            result = within
        return result


SpellNormalizations = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _affine(norm: Any, values: np.ndarray, multiplies: bool) -> relax.Expr | None:
    """`norm` with a factor or a summand for each channel; None if it cannot have them."""
    if not is_call(norm, *_NORMALIZATIONS):
        return None
    vector = _by_channel(values, channel_axis_of(norm), shape_of(norm.args[0]))
    parameters = [arg.value.numpy() for arg in norm.args[1:] if isinstance(arg, GenericConst)]
    if vector is None or len(parameters) != len(norm.args) - 1:
        return None
    rms = is_call(norm, "relax.nn.rms_norm")
    if rms and not multiplies:
        return None
    if not rms and not norm.attrs.scale:
        parameters[0] = np.ones_like(parameters[0])
    if not rms and not norm.attrs.center:
        parameters[1] = np.zeros_like(parameters[1])
    if multiplies:
        parameters = [parameter * vector for parameter in parameters]
    else:
        parameters[1] = parameters[1] + vector
    constants = [relax.const(p.astype("float32")) for p in parameters]
    attrs, data = norm.attrs, norm.args[0]
    if rms:
        return relax.op.nn.rms_norm(data, *constants, list(attrs.axes), attrs.epsilon)
    if is_call(norm, "relax.nn.layer_norm"):
        return relax.op.nn.layer_norm(data, *constants, list(attrs.axes), attrs.epsilon)
    groups = attrs.num_groups, attrs.channel_axis, list(attrs.axes)
    return relax.op.nn.group_norm(data, *constants, *groups, attrs.epsilon)


def channel_axis_of(norm: Any) -> int:
    """The axis along which a normalization has a weight and a bias; -1 if there are several."""
    rank = len(shape_of(norm.args[0]))
    if is_call(norm, "relax.nn.group_norm"):
        return int(norm.attrs.channel_axis) % rank
    axes = [int(axis) % rank for axis in norm.attrs.axes]
    return axes[0] if len(axes) == 1 else -1


def group_norm(data: relax.Expr, channel_axis: int, groups: int, epsilon: float) -> relax.Expr:
    """The call, over all axes but the first and that of the channels, without weights."""
    shape = shape_of(data)
    axes = [axis for axis in range(1, len(shape)) if axis != channel_axis]
    one, zero = _vectors(shape[channel_axis])
    return relax.op.nn.group_norm(data, one, zero, groups, channel_axis, axes, epsilon)


def _vectors(channels: int) -> tuple[relax.Expr, relax.Expr]:
    return (
        relax.const(np.ones(channels, "float32")),
        relax.const(np.zeros(channels, "float32")),
    )


def _by_channel(values: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray | None:
    """A constant as one number a channel; None if it differs along other axes."""
    if axis < 0 or values.ndim > len(shape):
        return None
    values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    if values.size != values.shape[axis]:
        return None
    return np.broadcast_to(values.reshape(-1), (shape[axis],))


def _groups_of(
    image: tuple[int, ...], shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[int, int] | None:
    """Channel axis and groups, if `axes` of an `image` seen as `shape` are groups of channels.

    (N, C, ...) as (N, G, ...), over all behind G; (N, ..., C) as (N, ..., G, C/G), over all but G.
    """
    if len(image) < 3 or not shape or shape[0] != image[0]:
        return None
    behind = tuple(range(2, len(shape)))
    if len(shape) > 2 and axes == behind and image[1] % shape[1] == 0:
        if prod(shape[2:]) == prod(image[2:]) * (image[1] // shape[1]):
            return 1, shape[1]
    groups = len(shape) - 2
    split = len(shape) == len(image) + 1 and shape[:groups] == image[:-1]
    if split and axes == tuple(a for a in range(1, len(shape)) if a != groups):
        return len(image) - 1, shape[groups]
    return None
