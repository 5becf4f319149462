"""`MergeMeans`: the sum of two means is the mean of the sum.

    add(mean(a), mean(b))   ->   mean(add(a, b))

for means of two float32 tensors of one shape over the same axes that nothing else reads.  A
reorganized network pools its main path and its last shortcut apart; merged, that shortcut is one
over a convolution like the others, which `FuseShortcuts` can fuse.  Equal but for float rounding.

Does not handle: int8, where each mean is rounded to a scale of its own, and clamped means.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax

from .canonicalization.dataflow import DataflowRewriter, dtype_of, is_call, shape_of
from .operators import attributes_of, make_call


@tvm.transform.module_pass(opt_level=0, name="MergeMeans")
class MergeMeans:
    """The pass; see the module's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with means merged; the same module if there are none to merge."""
        rewriter = _Rewriter(module)
        if not any(rewriter.mergeable(expr) for _, expr in rewriter.old.bindings):
            return module
        return rewriter.run()


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if not self.mergeable(expr):
            return None
        first, second = (self.old.definitions[arg] for arg in expr.args)
        operands = [self.new(mean.args[0]) for mean in (first, second)]
        total = self.emit(make_call("add", operands))
        attrs = attributes_of(first)
        limits = {key: attributes_of(expr)[key] for key in ("minimum", "maximum")}
        return self.emit(make_call("reduce", [total], **(attrs | limits)))

    def mergeable(self, expr: Any) -> bool:
        """Whether `expr` adds two means that only it reads."""
        if not is_call(expr, "dero.add") or dtype_of(expr) != "float32":
            return False
        means: list[Any] = [self.old.definitions.get(arg) for arg in expr.args]
        if not all(
            isinstance(arg, relax.Var) and is_call(mean, "dero.reduce")
            for arg, mean in zip(expr.args, means)
        ):
            return False
        first, second = (attributes_of(mean) for mean in means)
        return (
            first == second
            and first["kind"] == "mean"
            and (first["minimum"], first["maximum"]) == (None, None)
            and shape_of(means[0].args[0]) == shape_of(means[1].args[0])
            and all(self.old.sole_reader(arg) is not None for arg in expr.args)
            and not expr.args[0].same_as(expr.args[1])
        )
