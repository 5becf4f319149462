"""`CommuteQuantization`: moves and comparisons work on integers; needless round trips go.

    move(dequantize(q, s, z))                  ->   dequantize(move(q), s, z)
    quantize(dequantize(q, s, z), s, z)        ->   q
    dequantize(q, s, z), written twice         ->   written once

A move is an operator that copies elements or picks the largest or smallest of some: what it
computes is the same before and after an increasing function of each element.  All its operands
need one scale and zero point.  Padding needs a value that an integer stands for, or that is
rounded to one right behind it.  A `Decision` says why a move of quantized tensors stays in float,
unless `IntegerArithmetic` decides on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

from ..ir.dataflow import DataflowRewriter, is_call, with_operands
from ..ir.rewriting_pass import rewriting_pass
from ..ir.straight_line import variables
from ..operators.fixed_point import ACTIVATIONS, type_limits
from ..operators.rules.registry import Refusal
from .elementwise_region import VALUES
from .integer_arithmetic import INTEGERS
from .moves import is_move, pad_value, pads_with_constant

NAME = "CommuteQuantization"
KEPT_IN_FLOAT = "kept in float"  # what is done with a move that needs real numbers


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._dequantized: dict[tuple, relax.Expr] = {}

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, "relax.dequantize"):
            call = with_operands(expr, self.new)
            parameters = _parameters(call)
            return None if parameters is None else self._dequantize(call, parameters)
        if is_call(expr, "relax.quantize"):
            return self._cancelled(with_operands(expr, self.new))
        if not is_move(expr) and not pads_with_constant(expr):
            return None
        try:
            return self._moved(with_operands(expr, self.new))
        except Refusal as refusal:
            if not self._is_decided_later(expr):
                self.decide(NAME, var, KEPT_IN_FLOAT, str(refusal))
            return None

    def _is_decided_later(self, expr: Any) -> bool:
        """Whether `IntegerArithmetic` has a rule or a table for a move that stays here."""
        moving = {var for var in variables(expr) if self.old.constant(var) is None}
        return expr in INTEGERS or (expr in VALUES and len(moving) < 2)

    def _cancelled(self, call: Any) -> relax.Expr | None:
        source = self.emitted(call.args[0])
        padding = None
        if pads_with_constant(source):
            padding, source = source, self.emitted(source.args[0])
        if not is_call(source, "relax.dequantize"):
            return None
        known = _parameters(source)
        if known is None or known != _parameters(call):
            return None
        if str(source.args[0].ty.dtype) != call.attrs.out_dtype:
            return None
        return source.args[0] if padding is None else self._rounded(padding, source, *known)

    def _rounded(
        self, padding: Any, source: Any, scale: float, zero_point: int
    ) -> relax.Expr | None:
        """A padding of dequantized integers that is quantized again, on the integers."""
        dtype = str(source.args[0].ty.dtype)
        if dtype not in ACTIVATIONS:
            return None
        quotient = np.float32(pad_value(padding)) / np.float32(scale)
        if self.rounding == "double":
            rounded = np.copysign(np.floor(np.abs(quotient) + np.float32(0.5)), quotient)
        else:
            rounded = np.rint(quotient)
        value = float(np.clip(rounded + zero_point, *type_limits(dtype)))
        width = [int(w) for w in padding.attrs.pad_width]
        return relax.op.nn.pad(source.args[0], width, "constant", value)

    def _moved(self, call: Any) -> relax.Expr | None:
        """`call` on the integers of its operands; None if no operand is quantized.

        Raises `Refusal` if they have not one scale.
        """
        sources: list[Any] = []

        def integers(operand: Any) -> Any:
            if isinstance(operand, relax.Tuple):
                return with_operands(operand, integers)
            if not isinstance(getattr(operand, "ty", None), relax.TensorType):
                return operand
            if str(operand.ty.dtype) in ("int32", "int64"):  # indices
                return operand
            sources.append(self.emitted(operand))
            return sources[-1].args[0] if is_call(sources[-1], "relax.dequantize") else operand

        tuples = [
            self.emitted(arg) if isinstance(self.emitted(arg), relax.Tuple) else arg
            for arg in call.args
        ]
        moved = with_operands(Call(call.op, tuples, call.attrs), integers)
        dequantized = [source for source in sources if is_call(source, "relax.dequantize")]
        if all(isinstance(source.args[0], GenericConst) for source in dequantized):
            return None
        if len(dequantized) != len(sources):
            raise Refusal("not all of its operands are quantized")
        known = _one_quantization(dequantized)
        if pads_with_constant(call):
            moved = _padded(moved, *known)
        return self._dequantize(relax.op.dequantize(self.emit(moved), *sources[0].args[1:]), known)

    def _dequantize(self, call: Any, parameters: tuple[float, int]) -> relax.Expr:
        if isinstance(call.args[0], GenericConst):
            return call
        key = (call.args[0], parameters)
        if key not in self._dequantized:
            self._dequantized[key] = self.emit(call)
        return self._dequantized[key]


CommuteQuantization = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _one_quantization(dequantized: list[Any]) -> tuple[float, int]:
    """The scale and zero point of all operands.  Raises `Refusal` if they differ."""
    types = sorted({str(call.args[0].ty.dtype) for call in dequantized})
    if len(types) != 1 or types == ["int32"]:
        raise Refusal(f"its operands are quantized to {' and '.join(types)}")
    found = [parameters for parameters in map(_parameters, dequantized) if parameters is not None]
    if len(found) != len(dequantized):
        raise Refusal("an operand has several scales, or one that is computed")
    for scale, zero_point in found:
        if (scale, zero_point) != found[0]:
            raise Refusal(
                f"its operands have scale {found[0][0]:.6g} and zero point {found[0][1]}, "
                f"and scale {scale:.6g} and zero point {zero_point}"
            )
    return found[0]


def _parameters(call: Any) -> tuple[float, int] | None:
    """Scale and zero point of a `quantize` or `dequantize` of a whole tensor, else None."""
    _, scale, zero_point = call.args
    if not isinstance(scale, GenericConst) or not isinstance(zero_point, GenericConst):
        return None
    arrays = scale.value.numpy(), zero_point.value.numpy()
    if any(array.size != 1 for array in arrays):
        return None
    return float(arrays[0].item()), int(arrays[1].item())


def _padded(call: Any, scale: float, zero_point: int) -> relax.Expr:
    """The padding in quantized units.  Raises `Refusal` if no integer stands for the value."""
    width = [int(w) for w in call.attrs.pad_width]
    quotient = pad_value(call) / scale
    value = zero_point + round(quotient)
    inexact = abs(quotient - round(quotient)) > 1e-6 * max(1.0, abs(quotient))
    low, high = type_limits(str(call.args[0].ty.dtype))
    if inexact or not low <= value <= high:
        raise Refusal(
            f"no integer stands for {pad_value(call):.6g} at scale {scale:.6g} and zero point "
            f"{zero_point}"
        )
    return relax.op.nn.pad(call.args[0], width, "constant", float(value))
