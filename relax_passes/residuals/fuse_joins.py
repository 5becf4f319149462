"""`FuseJoins`: a convolution joins its result with the residual, element by element.

    y = conv2d(x, ...)
    z = add(y, r)            ->   z = conv2d_add(x, ..., r)

The bits are those of the pair (see `operators/joined.py`), and y is never in memory.  Where rows
have addresses of their own, that is a row less wherever z's row takes the place of r's.  Dense
layers are treated like convolutions, subtractions and multiplications like additions.

Preconditions: z is y's only reader; y and r are different computed tensors of one shape and type.
Where both operands would do, the one that is computed last is fused: the other is there by then.

Does not handle: convolutions with an operator between them and the join, as with an activation that
is no clamp; joins with broadcasting.
"""

from __future__ import annotations

from collections.abc import Mapping

import tvm
from tvm import relax

from ..ir.dataflow import DataflowRewriter, dtype_of, shape_of
from ..ir.decisions import LEFT_ALONE, decisions
from ..ir.straight_line import unique_names, variables
from ..operators import attributes_of, make_call, operator_of
from ..operators.joined import PAIRS, joined_attributes

NAME = "FuseJoins"
FUSED = "fused"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class FuseJoins:
    """The pass; see the module's docstring.

    `apart` names joins that are not to be fused, each with the reason.
    """

    def __init__(self, apart: Mapping[str, str] | None = None) -> None:
        self.apart = apart or {}

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with joins fused, and a decision on each that has a convolution before."""
        rewriter = _Rewriter(unique_names(mod), self.apart)
        rewritten = rewriter.run()
        return rewritten if rewriter.has_decided else mod


def is_fused(mod: tvm.IRModule) -> bool:
    """Whether the pass has fused a join of `mod`."""
    return any(d.pass_name == NAME and d.action == FUSED for d in decisions(mod))


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule, apart: Mapping[str, str]) -> None:
        super().__init__(module)
        self.apart = apart
        self.has_decided = False

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        found = self._producer(var, expr)
        if found is None:
            return None
        computed, name = found
        self.has_decided = True
        if var.name in self.apart:
            self.decide(NAME, var, LEFT_ALONE, self.apart[var.name])
            return None
        producer, other = expr.args[computed], expr.args[1 - computed]
        call = self.old.definition(producer)
        attrs = joined_attributes(attributes_of(call), attributes_of(expr), computed)
        operands = [self.new(operand) for operand in (*call.args, other)]
        story = f"{producer.name} joins its rows with those of {other.name} as it makes them"
        self.decide(NAME, var, FUSED, story)
        return self.emit(make_call(name, operands, **attrs))

    def _producer(self, var: relax.Var, expr: relax.Expr) -> tuple[int, str] | None:
        """Which operand of a join to fuse, and the name of the operator for both."""
        operator = operator_of(expr)
        if operator is None or len(set(variables(expr))) != 2 or len(expr.args) != 2:
            return None
        if len({(shape_of(tensor), dtype_of(tensor)) for tensor in (var, *expr.args)}) != 1:
            return None
        found = []
        for computed, producer in enumerate(expr.args):
            call = self.old.definition(producer)
            if operator_of(call) is None or self.old.sole_reader(producer) is None:
                continue
            name = PAIRS.get((call.op.name, expr.op.name))
            if name is not None:
                found.append((self.old.position[producer], computed, name))
        return max(found)[1:] if found else None
