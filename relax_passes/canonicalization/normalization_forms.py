"""Reading normalizations that are written in arithmetic: means, variances, deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import Dataflow, is_call, shape_of


@dataclass(frozen=True)
class Variance:
    """The mean of squares of `difference` over `axes`, plus `epsilon`.

    The difference is `data` less `mean`, or the data itself where `mean` is None.
    """

    data: relax.Expr
    difference: relax.Expr
    mean: relax.Expr | None
    axes: tuple[int, ...]
    epsilon: float


class NormalizationForms:
    """What expressions of a straight line are."""

    def __init__(self, old: Dataflow) -> None:
        self.old = old

    def reciprocal(self, expr: relax.Expr) -> tuple[Variance | None, relax.Expr | None]:
        """What `expr` is the reciprocal root of, and the constant that it is multiplied by."""
        call = self.old.definition(expr)
        if is_call(call, "relax.multiply"):
            for inner, constant in (call.args, reversed(list(call.args))):
                if self.old.constant(constant) is not None:
                    variance, other = self.reciprocal(inner)
                    return (variance, constant) if other is None else (None, None)
        if is_call(call, "relax.rsqrt"):
            return self.variance(call.args[0]), None
        if is_call(call, "relax.divide") and self.number(call.args[0]) == 1.0:
            return self.root(call.args[1]), None
        if is_call(call, "relax.power") and self.number(call.args[1]) == -0.5:
            return self.variance(call.args[0]), None
        return None, None

    def root(self, expr: relax.Expr) -> Variance | None:
        call = self.old.definition(expr)
        half = is_call(call, "relax.power") and self.number(call.args[1]) == 0.5
        if is_call(call, "relax.sqrt") or half:
            return self.variance(call.args[0])
        return None

    def variance(self, expr: relax.Expr) -> Variance | None:
        """A mean of squares plus a number."""
        call = self.old.definition(expr)
        if not is_call(call, "relax.add"):
            return None
        for inner, number in (call.args, reversed(list(call.args))):
            epsilon = self.number(number)
            mean = self.mean(inner)
            if epsilon is None or mean is None:
                continue
            square = self.old.definition(mean[0])
            if is_call(square, "relax.multiply") and self.same(*square.args):
                difference = square.args[0]
            elif is_call(square, "relax.power") and self.number(square.args[1]) == 2.0:
                difference = square.args[0]
            else:
                continue
            if not _is_kept(shape_of(inner), shape_of(difference), mean[1]):
                continue
            found: Any = self.old.definition(difference)
            if is_call(found, "relax.subtract") and self.is_mean(
                found.args[1], found.args[0], mean[1]
            ):
                data, middle = found.args
                return Variance(data, difference, middle, mean[1], epsilon)
            return Variance(difference, difference, None, mean[1], epsilon)
        return None

    def is_mean(self, expr: relax.Expr, data: relax.Expr, axes: tuple[int, ...]) -> bool:
        """Whether `expr` is the mean of `data`, or of what it is a view of."""
        found = self.mean(expr)
        if found is None or not _is_kept(shape_of(expr), shape_of(data), axes):
            return False
        source, over = found
        if self.same(source, data):
            return over == axes
        view: Any = self.old.definition(data)
        if not is_call(view, "relax.reshape") or not self.same(view.args[0], source):
            return False
        first, before, after = axes[0], shape_of(source), shape_of(data)
        behind = [tuple(range(first, len(shape))) for shape in (before, after)]
        return before[:first] == after[:first] and [over, axes] == behind

    def is_difference(self, expr: relax.Expr, variance: Variance) -> bool:
        """Whether `expr` is what the variance is of, however often it is written."""
        if self.same(expr, variance.difference):
            return True
        call: Any = self.old.definition(expr)
        return (
            variance.mean is not None
            and is_call(call, "relax.subtract")
            and self.same(call.args[0], variance.data)
            and self.is_mean(call.args[1], variance.data, variance.axes)
        )

    def mean(self, expr: relax.Expr) -> tuple[relax.Expr, tuple[int, ...]] | None:
        """Of what, and over which axes, whatever the shape of the result."""
        call = self.old.definition(expr)
        if is_call(call, "relax.reshape"):
            call = self.old.definition(call.args[0])
        if not is_call(call, "relax.mean"):
            return None
        shape = shape_of(call.args[0])
        axes = range(len(shape)) if call.attrs.axis is None else call.attrs.axis
        return call.args[0], tuple(sorted(int(axis) % len(shape) for axis in axes))

    def number(self, expr: relax.Expr) -> float | None:
        constant = self.old.constant(expr)
        if constant is None or constant.values.size != 1:
            return None
        return float(constant.real().reshape(-1)[0])

    def same(self, left: relax.Expr, right: relax.Expr, depth: int = 4) -> bool:
        """Whether two old expressions are one, or the same arithmetic written twice."""
        if left.same_as(right):
            return True
        first, second = self.old.definition(left), self.old.definition(right)
        # What follows looks at the same few operators, so it ends soon.
        return (
            depth > 0
            and isinstance(first, Call)
            and isinstance(second, Call)
            and first.op.same_as(second.op)
            and len(first.args) == len(second.args)
            and tvm_ffi.structural_equal(first.attrs, second.attrs)
            and all(self.same(a, b, depth - 1) for a, b in zip(first.args, second.args))
        )


def _is_kept(mean: tuple[int, ...], shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Whether a mean over `axes` meets a tensor of `shape` along the axes that are left."""
    expected = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return (1,) * (len(shape) - len(mean)) + mean == expected
