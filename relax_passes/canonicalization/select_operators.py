"""`SelectOperators`: Relax operators become the microcontroller operators of docs/operators.md.

    conv2d(x, w) + bias, relu        ->   dero.conv2d(x, w, bias, minimum=0)
    a + b, clip(0, 6)                ->   dero.add(a, b, minimum=0, maximum=6)
    x * clip(x + 3, 0, 6) / 6        ->   dero.unary(x, function="hard_swish")

A bias, and a clamp after an operator that has one, are fused where nothing else reads the value
in between.  Several elementwise operators that together are one of `unary`'s functions become
that function: they are compared by their values.

What has no counterpart, or operands of types other than float32 and int8, stays as it is: TVM
compiles it, and the planner treats it as opaque.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call, Op

from ..ir.dataflow import DataflowRewriter, dtype_of, is_call
from ..operators import make_call, operator_of
from .activation_functions import recognize
from .elementwise_region import Region, regions_ending_at
from .select_handlers import HANDLERS, handler_arguments_ok


@tvm.transform.module_pass(opt_level=0, name="SelectOperators")
class SelectOperators:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return SelectionRewriter(module).run()


class SelectionRewriter(DataflowRewriter):
    """Walks `main`; the operators are in `select_handlers`."""

    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self.quantize_rounding = "half_away" if self.rounding == "double" else "half_even"
        self._activations = self._find_activations()

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if var in self._activations:
            return self._activation(*self._activations[var])
        constant = self.old.constant(expr) if is_call(expr, "relax.dequantize") else None
        if constant is not None:
            return relax.const(constant.real())
        if not is_call(expr, *HANDLERS) or not handler_arguments_ok(self.old, expr):
            return None
        return HANDLERS[expr.op.name](self, var, expr)

    def dero(self, name: str, args: list[relax.Expr], **attrs: Any) -> relax.Expr:
        """A new variable bound to a call of one of the project's operators."""
        return self.emit(make_call(name, args, **attrs))

    def finish(self, result: relax.Expr, absorbed: list[relax.Var]) -> relax.Expr:
        """Let `result` stand for everything that was fused into it."""
        for var in absorbed:
            self.replace(var, result)
        return result

    # --- activation functions ----------------------------------------------------------------

    def _find_activations(self) -> dict[relax.Var, tuple[Region, dict[str, Any]]]:
        """Regions that are one function of `unary`, by their first operator."""
        found: dict[relax.Var, tuple[Region, dict[str, Any]]] = {}
        taken: set[relax.Var] = set()
        for last, call in reversed(self.old.bindings):
            if last in taken or not isinstance(call, Call) or not isinstance(call.op, Op):
                continue
            if operator_of(call) is not None:
                continue
            best = None
            for region in regions_ending_at(self.old, last):
                if len(region.members) > 1 and dtype_of(last) == "float32":
                    attributes = recognize(region)
                    best = (region, attributes) if attributes is not None else best
            if best is not None:
                found[best[0].members[0]] = best
                taken.update(best[0].members)
        return found

    def _activation(self, region: Region, attributes: dict[str, Any]) -> relax.Expr:
        result = self.dero("unary", [self.new(region.source)], **attributes)
        return self.finish(result, list(region.members))
