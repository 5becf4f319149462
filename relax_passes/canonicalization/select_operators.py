"""`SelectOperators`: Relax operators become the microcontroller operators of docs/operators.md.

    conv2d(x, w) + bias, relu        ->   dero.conv2d(x, w, bias, minimum=0)
    a + b, clip(0, 6)                ->   dero.add(a, b, minimum=0, maximum=6)
    x * clip(x + 3, 0, 6) / 6        ->   dero.unary(x, function="hard_swish")

A bias, and a clamp after an operator that has one, are fused where nothing else reads the value
in between.  Several elementwise operators that together are one of `unary`'s functions become
that function: they are compared by their values.

What has no counterpart, or operands of types other than float32, int8 and int16, stays as it is:
TVM compiles it, and the planner treats it as opaque.  A `Decision` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, Op

from ..ir.constant_tensor import DEQUANTIZES
from ..ir.dataflow import Dataflow, DataflowRewriter, dtype_of, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..ir.straight_line import operands_of
from ..operators import make_call, operator_of
from ..operators.fixed_point import ACTIVATIONS
from ..operators.rules.registry import Refusal, Rules
from .activation_functions import recognize
from .elementwise_region import Region, regions_ending_at
from .epilogue import Epilogue, float_epilogue, take_integer_clamp

NAME = "SelectOperators"
LEFT_TO_TVM = "left to TVM"  # what is done with an operator that has no counterpart

SelectionRule = Callable[["SelectionRewriter", relax.Var, Any], relax.Expr]
SELECTION: Rules[SelectionRule] = Rules(NAME)
"""The expression that stands for a call.  Raises `Refusal` to leave it to TVM."""

MORE_TYPES: Rules[tuple[str, ...]] = Rules("MORE_TYPES")
"""What elements may be, of operands and results, besides float32, int8 and int16."""

_TYPES = ("float32", *ACTIVATIONS)
_LARGEST_RANK = 5  # of the row kernels


class SelectionRewriter(DataflowRewriter):
    """Walks `main`; the operators are in `operators/rules/`."""

    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self.quantize_rounding = "half_away" if self.rounding == "double" else "half_even"
        self._activations = self._find_activations()

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if var in self._activations:
            return self._activation(*self._activations[var])
        constant = self.old.constant(expr) if is_call(expr, *DEQUANTIZES) else None
        if constant is not None:
            return relax.const(constant.real())
        if not _computes_tensors(expr) or operator_of(expr) is not None:
            return None
        try:
            return self._selected(var, expr)
        except Refusal as refusal:
            self.decide(NAME, var, LEFT_TO_TVM, str(refusal))
            return None

    def _selected(self, var: relax.Var, call: Any) -> relax.Expr:
        rule = SELECTION.get(call)
        if rule is None and call.op.name.startswith("relax.call_"):
            raise Refusal("it calls a function that is compiled as it is")
        if rule is None:
            raise Refusal(f"the operator set has no {call.op.name.removeprefix('relax.')}")
        _check_kernels_take(self.old, call)
        return rule(self, var, call)

    def dero(self, name: str, args: list[relax.Expr], **attrs: Any) -> relax.Expr:
        """A new variable bound to a call of one of the project's operators."""
        return self.emit(make_call(name, args, **attrs))

    def finish(self, result: relax.Expr, fused: list[relax.Var]) -> relax.Expr:
        """Let `result` stand for everything that was fused into it."""
        for var in fused:
            self.replace(var, result)
        return result

    def clamped(
        self, var: relax.Var, name: str, args: list[relax.Expr], **attrs: Any
    ) -> relax.Expr:
        """An operator of its operands' type, with the clamp that follows it."""
        if dtype_of(var) in ACTIVATIONS:
            epilogue = Epilogue(var, dtype=dtype_of(var))
            take_integer_clamp(self.old, epilogue)
            bounds: dict[str, Any] = {"minimum": epilogue.minimum, "maximum": epilogue.maximum}
        else:
            epilogue = float_epilogue(self.old, var)
            bounds = epilogue.clamp
        result = self.dero(name, [self.new(arg) for arg in args], **attrs, **bounds)
        return self.finish(result, epilogue.fused)

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


SelectOperators = rewriting_pass(NAME, SelectionRewriter)
"""Module pass: see the file's docstring."""


def _computes_tensors(expr: Any) -> bool:
    return (
        isinstance(expr, Call)
        and isinstance(expr.op, Op)
        and isinstance(expr.ty, (relax.TensorType, relax.TupleType))
    )


def _check_kernels_take(old: Dataflow, call: Any) -> None:
    """Raise `Refusal` for tensors whose types or ranks the project's kernels do not take.

    Scalars may be constants, also dequantized ones.
    """
    types = (*_TYPES, *(MORE_TYPES.get(call) or ()))
    for tensor in (*operands_of(call), call):
        if not isinstance(tensor.ty, relax.TensorType):
            continue
        rank = len(shape_of(tensor))
        if rank == 0 and old.constant(tensor) is not None:
            continue
        if is_call(call, "relax.take") and tensor.same_as(call.args[1]):
            continue  # indices, of which its rule says what they may be
        what = "its result" if tensor is call else "an operand"
        if dtype_of(tensor) not in types:
            raise Refusal(f"{what} is {dtype_of(tensor)}; kernels take {', '.join(_TYPES)}")
        least = 0 if tensor is call or not _goes_along_an_axis(call) else 1
        if not least <= rank <= _LARGEST_RANK:
            raise Refusal(f"{what} has {rank} axes; kernels take {least} to {_LARGEST_RANK}")


def _goes_along_an_axis(call: Any) -> bool:
    """Whether an operand without axes, a computed number, makes no sense to a rule."""
    return any(hasattr(call.attrs, name) for name in ("axis", "axes"))


def check_float32(*tensors: relax.Expr) -> None:
    """Raise `Refusal` for an operator that has kernels for float32 alone."""
    for tensor in tensors:
        if dtype_of(tensor) != "float32":
            raise Refusal(f"it is written on {dtype_of(tensor)}; its kernels are for float32")


def bias_vector(epilogue: Epilogue, channels: int) -> relax.Expr:
    """One float32 number a channel: the bias that is taken over, or zeros."""
    if epilogue.bias is None:
        return relax.const(np.zeros(channels, np.float32))
    return relax.const(np.ascontiguousarray(epilogue.bias.real(), np.float32))
