"""`TransposeOutputs`: outputs in the model's order of axes, in the place of the tensor they show.

    transpose(x, (0, 3, 1, 2))   ->   reshape(transpose_in_place(reshape(x)))

where the result is an output of the network and nothing else reads `x`.  Such a transpose needs all
of `x` before its first row, so both would be whole at once; in place it costs a bit an element.

Does not handle: permutations that are no transpose of a matrix, outputs that leave by rows, inputs
of the network, which may have to stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import tvm
from tvm import relax

from ..ir.attributes import streamed_outputs
from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.straight_line import read_function
from ..operators import attributes_of, make_call

NAME = "TransposeOutputs"
_SMALLEST = 64  # elements from which the bits are worth their trouble


@tvm.transform.module_pass(opt_level=0, name=NAME)
class TransposeOutputs:
    """The pass; see the module's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with its outputs transposed in place."""
        return _Rewriter(module).run()


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        line, by_rows = read_function(module), streamed_outputs(module)
        names = [getattr(result, "name", "") for result in line.results]
        self._outputs = {
            name for i, name in enumerate(names) if i not in by_rows and names.count(name) == 1
        }
        self._made = {var.name for var, expr in line.bindings if not is_call(expr, "dero.reshape")}

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if not is_call(expr, "dero.transpose") or var.name not in self._outputs:
            return None
        data = expr.args[0]
        if not isinstance(data, relax.Var) or data.name not in self._made:
            return None
        reader = self.old.sole_reader(data)
        columns = matrix_columns(shape_of(data), attributes_of(expr)["axes"])
        count = prod(shape_of(data))
        if reader is None or columns is None or count < _SMALLEST:
            return None
        line = self.emit(make_call("reshape", [self.new(data)], shape=(1, count)))
        line = self.emit(make_call("transpose_in_place", [line], columns=columns))
        return make_call("reshape", [line], shape=shape_of(var))


def matrix_columns(shape: Sequence[int], axes: Sequence[int]) -> int | None:
    """How many columns the matrix has that the permutation transposes; None if there is none."""
    order = [axis for axis in axes if shape[axis] > 1]
    if order == sorted(order):
        return None
    split = next(i for i, axis in enumerate(order) if axis == min(order))
    if order[split:] + order[:split] != sorted(order):
        return None
    return prod(shape[axis] for axis in order[:split])
