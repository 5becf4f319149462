"""`DecomposeComposites`: say with few operators what frontends say with many.

===============================================  ================================================
before                                           after
===============================================  ================================================
``batch_norm(x)[0]``, parameters constant        ``x * scale + offset``
``dropout(x)[0]``                                ``x``
``split(x)[i]``                                  ``strided_slice(x)``; ``x`` where it is whole
``sum(stack(a, b, c), axis=0)`` (ONNX ``Sum``)   ``a + b + c``; likewise ``max`` and ``min``
``squeeze``, ``expand_dims``, ``flatten``        ``reshape``
``mean(mean(x, 3), 2)``, ``mean(flatten(x, 2), 2)``   ``mean(x, (2, 3))``
``take(x, 0)`` along an axis of length 1         ``reshape(x)``
``flip(x)``, ``tile(x)``                         ``take(x)`` at constant indices
``relu6(x)``                                     ``clip(x, 0, 6)``
``power(x, 1)``, ``sign(x) * relu(abs(x))``      ``x``
``maximum(x, c)``, ``minimum(x, c)``, c scalar   ``clip(x, c, inf)``, ``clip(x, -inf, c)``
``conv1d``, ``conv1d_transpose``, ``*_pool1d``   ``reshape``, the same in 2-D with a width of 1
``adaptive_*_pool2d`` whose windows are equal    ``mean``, ``*_pool2d``
pooling with ``ceil_mode``                       pooling with more padding after, if that is equal
``resize2d`` by corners to a height of 1         the first row, resized as two of them, one taken
===============================================  ================================================

Does not handle: training-mode batch norm, batch norm with computed parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax

from ..ir.dataflow import DataflowRewriter, shape_of
from ..operators.rules.registry import Rules

NAME = "DecomposeComposites"

SPELLINGS: Rules[Callable[[SpellingRewriter, Any], relax.Expr | None]] = Rules(NAME)
"""What a call says, with fewer operators; None if it is said so already."""

TUPLE_SPELLINGS: Rules[Callable[[SpellingRewriter, Any, int], relax.Expr | None]] = Rules(
    f"{NAME}'s tuples"
)
"""Likewise for one member of the tuple that a call returns."""


@tvm.transform.module_pass(opt_level=0, name=NAME)
class DecomposeComposites:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return SpellingRewriter(module).run()


class SpellingRewriter(DataflowRewriter):
    """Walks `main`; the operators are in `operators/rules/`.

    `variable` is bound to what is being rewritten.
    """

    variable: relax.Var

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        self.variable = var
        if isinstance(expr, relax.TupleGetItem):
            source = self.old.definition(expr.tuple_value)
            member_rule = TUPLE_SPELLINGS.get(source)
            return None if member_rule is None else member_rule(self, source, expr.index)
        rule = SPELLINGS.get(expr)
        return None if rule is None else rule(self, expr)


def with_width(rewriter: SpellingRewriter, expr: relax.Expr) -> relax.Expr:
    """A new tensor with one more axis, of length 1, behind the others."""
    return rewriter.emit(relax.op.reshape(expr, (*shape_of(expr), 1)))
