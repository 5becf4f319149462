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
``take(x, i)``                                   ``reshape(strided_slice(x))``
``flip``, ``tile``, ``repeat``, ``broadcast_to``   ``take`` at constant indices
slices that go backwards, mirrored borders       ``take`` at constant indices
``broadcast_to(x) + y``                          ``x + y``
``reshape(permute_dims(reshape(x)))``            ``take``, ``depth_to_space``, ``space_to_depth``
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

import numpy as np
from tvm import relax

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..operators.rules.registry import Rules

NAME = "DecomposeComposites"

_BROADCASTING = tuple(
    f"relax.{name}"
    for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "where")
)

SPELLINGS: Rules[Callable[[SpellingRewriter, Any], relax.Expr | None]] = Rules(NAME)
"""What a call says, with fewer operators; None if it is said so already."""

TUPLE_SPELLINGS: Rules[Callable[[SpellingRewriter, Any, int], relax.Expr | None]] = Rules(
    f"{NAME}'s tuples"
)
"""Likewise for one member of the tuple that a call returns."""


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
        spelled = None if rule is None else rule(self, expr)
        return self._without_broadcasts(expr) if spelled is None else spelled

    def _without_broadcasts(self, expr: relax.Expr) -> relax.Expr | None:
        """An operator that broadcasts, on what its operands were before they were broadcast."""
        if not is_call(expr, *_BROADCASTING):
            return None
        before = [self.old.definition(operand) for operand in expr.args]
        operands = [
            made.args[0] if is_call(made, "relax.broadcast_to") else operand
            for operand, made in zip(expr.args, before)
        ]
        shapes = [shape_of(operand) for operand in operands]
        same = all(old.same_as(new) for old, new in zip(expr.args, operands))
        if same or np.broadcast_shapes(*shapes) != tuple(shape_of(expr)):
            return None
        return relax.Call(expr.op, [self.new(operand) for operand in operands], expr.attrs)


DecomposeComposites = rewriting_pass(NAME, SpellingRewriter)
"""Module pass: see the file's docstring."""


def with_width(rewriter: SpellingRewriter, expr: relax.Expr) -> relax.Expr:
    """A new tensor with one more axis, of length 1, behind the others."""
    return rewriter.emit(relax.op.reshape(expr, (*shape_of(expr), 1)))
