"""`BoundIndices`: an index that is computed, or comes from the application, stays inside its axis.

    take(table, indices, axis=0)    ->   take(table, indices, axis=0, mode="clip")
    gather_nd(data, indices)        ->   gather_nd(data, clip(indices, 0, lengths - 1))

TVM's gathers use indices as they are: one outside would read anything that lies beside the tensor.
Those that are constant are looked at here and need no operator; of `take`, TVM would warn on the
standard error that it uses even them as they are.  Of scatters no C is generated.

Raises `IndexOutside` for a constant that is outside.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, shape_of


@tvm.error.register_error("IndexOutside")  # passes are run by C++, which knows errors by name
class IndexOutside(ValueError):
    """A constant index does not exist in its tensor: the network is wrong."""


@tvm.transform.module_pass(opt_level=0, name="BoundIndices")
class BoundIndices:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return _Rewriter(module).run()


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if not is_call(expr, *_LENGTHS):
            return None
        lengths = _LENGTHS[expr.op.name](expr)
        if lengths is None:
            return None
        data, indices = expr.args
        if is_call(expr, "relax.take"):
            self._refuse_outside(expr, indices, lengths)
            return relax.op.take(self.new(data), self.new(indices), expr.attrs.axis, "clip")
        bounded = self._bounded(expr, self.old.tuple_of(indices), lengths)
        if bounded is None:
            return None
        return relax.Call(expr.op, [self.new(data), bounded], expr.attrs, expr.ty_args)

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
        if self._refuse_outside(call, indices, lengths):
            return None
        highest = _highest(lengths)
        new, dtype = self.new(indices), dtype_of(indices)
        new = self.emit(relax.op.maximum(new, relax.const(np.zeros_like(highest), dtype)))
        return self.emit(relax.op.minimum(new, relax.const(highest, dtype)))

    def _refuse_outside(self, call: Any, indices: relax.Expr, lengths: list[int]) -> bool:
        """Whether the indices are constant; raises `IndexOutside` if one of them is outside."""
        constant = self.old.constant(indices)
        if constant is None:
            return False
        values = constant.real()
        outside = values[(values < 0) | (values > _highest(lengths))]
        if outside.size:
            raise IndexOutside(
                f"{call.op.name.removeprefix('relax.')}: the index {int(outside[0])} is "
                f"outside of a tensor of shape {list(shape_of(call.args[0]))}"
            )
        return True


def _highest(lengths: list[int]) -> np.ndarray:
    return np.array(lengths[0] if len(lengths) == 1 else lengths) - 1


def _axis(call: Any) -> list[int]:
    return [shape_of(call.args[0])[call.attrs.axis]]


def _take(call: Any) -> list[int] | None:
    if call.attrs.mode != "fast":
        return None
    shape = shape_of(call.args[0])
    return [prod(shape)] if call.attrs.axis is None else [shape[call.attrs.axis]]


def _gather_nd(call: Any) -> list[int]:
    """Of the axes that the last axis of the indices counts through."""
    first = int(call.attrs.batch_dims)
    return list(shape_of(call.args[0])[first : first + shape_of(call.args[1])[-1]])


def _all_axes(call: Any) -> list[int]:
    return list(shape_of(call.args[0]))


_LENGTHS = {
    "relax.take": _take,
    "relax.gather_elements": _axis,
    "relax.gather_nd": _gather_nd,
    "relax.index_tensor": _all_axes,
}
