"""`BoundIndices`: an index that is computed, or comes from the application, stays inside its axis.

    take(table, indices, axis=0)    ->   take(table, indices, axis=0, mode="clip")
    gather_nd(data, indices)        ->   gather_nd(data, clip(indices, 0, lengths - 1))

TVM's gathers use indices as they are: one outside would read anything that lies beside the tensor.
Those that are constant are looked at here and need no operator; of `take`, TVM would warn on the
standard error that it uses even them as they are.  Scatters likewise; theirs may count from the
end, by negative numbers, and are counted from the start.

Raises `IndexOutside` for a constant that is outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..operators.rules.registry import Rules

NAME = "BoundIndices"
_FROM_THE_END = ("relax.scatter_elements", "relax.scatter_nd", "relax.index_put")

INDEXED: Rules[Callable[[Any], list[int] | None]] = Rules(NAME)
"""Lengths of the axes of its first operand that a call's second operand counts through; None if
the operator bounds its indices itself.
"""


@tvm.error.register_error("IndexOutside")  # passes are run by C++, which knows errors by name
class IndexOutside(ValueError):
    """A constant index does not exist in its tensor: the network is wrong."""


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        rule = INDEXED.get(expr)
        lengths = None if rule is None else rule(expr)
        if lengths is None:
            return None
        data, indices, *others = expr.args
        if is_call(expr, "relax.take"):
            self._refuse_outside(expr, indices, lengths)
            return relax.op.take(self.new(data), self.new(indices), expr.attrs.axis, "clip")
        bounded = self._bounded(expr, indices, lengths)
        if bounded is None:
            return None
        operands = [self.new(data), bounded, *map(self.new, others)]
        return relax.Call(expr.op, operands, expr.attrs, expr.ty_args)

    def _bounded(self, call: Any, indices: relax.Expr, lengths: list[int]) -> relax.Expr | None:
        """The new operand; None if it is inside already."""
        if isinstance(indices, relax.Tuple):  # one tensor for each axis
            pairs = list(zip(indices.fields, lengths, strict=True))
            fields = [self._bounded(call, field, [length]) for field, length in pairs]
            if all(field is None for field in fields):
                return None
            return relax.Tuple(
                [self.new(old) if new is None else new for new, (old, _) in zip(fields, pairs)]
            )
        if not isinstance(indices.ty, relax.TensorType):
            return None  # a number in the program, which TVM checks
        new, dtype = self.new(indices), dtype_of(indices)
        if is_call(call, *_FROM_THE_END):
            new = self._from_the_start(indices, np.array(lengths, dtype))
        if self._refuse_outside(call, indices, lengths):
            return None if new.same_as(self.new(indices)) else new
        highest = _highest(lengths)
        new = self.emit(relax.op.maximum(new, relax.const(np.zeros_like(highest), dtype)))
        return self.emit(relax.op.minimum(new, relax.const(highest, dtype)))

    def _from_the_start(self, indices: relax.Expr, lengths: np.ndarray) -> relax.Expr:
        """Indices in which negative numbers, which count from the end, are replaced."""
        constant, new = self.old.constant(indices), self.new(indices)
        if constant is not None:
            values = constant.values
            if values.min() >= 0:
                return new
            return relax.const(values + lengths * (values < 0), dtype_of(indices))
        moved = self.emit(relax.op.add(new, relax.const(lengths, dtype_of(indices))))
        negative = self.emit(
            relax.op.less(new, relax.const(np.zeros_like(lengths), dtype_of(indices)))
        )
        return self.emit(relax.op.where(negative, moved, new))

    def _refuse_outside(self, call: Any, indices: relax.Expr, lengths: list[int]) -> bool:
        """Whether the indices are constant; raises `IndexOutside` if one of them is outside."""
        constant = self.old.constant(indices)
        if constant is None:
            return False
        values = constant.real()
        if is_call(call, *_FROM_THE_END):
            values = np.where(values < 0, values + np.array(lengths), values)
        outside = values[(values < 0) | (values > _highest(lengths))]
        if outside.size:
            raise IndexOutside(
                f"{call.op.name.removeprefix('relax.')}: the index {int(outside[0])} is "
                f"outside of a tensor of shape {list(shape_of(call.args[0]))}"
            )
        return True


BoundIndices = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _highest(lengths: list[int]) -> np.ndarray:
    return np.array(lengths[0] if len(lengths) == 1 else lengths) - 1
