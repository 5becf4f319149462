"""`SignQuantization`: uint8 activations become int8 with a zero point 128 lower.

    quantize(x, s, z) : uint8    ->   quantize(x, s, z - 128) : int8
    dequantize(q : uint8, s, z)  ->   dequantize(q - 128 : int8, s, z - 128)

The real values stay the same.  In between, moves (reshape, transpose, slice, concat, nearest
resize), max pooling, clips and padding work on the shifted integers as they did on the others.
Constants shift at compile time, which makes weights with zero point 128 symmetric.

Inputs and results of `main` keep their uint8; an explicit shift converts them.  An operator that
is not named above gets its uint8 operand back by such a shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst

from .dataflow import DataflowRewriter, dtype_of, is_call, with_operands
from .fold_constants import clip_bounds

_OFFSET = 128
_MOVES = (
    "relax.reshape",
    "relax.permute_dims",
    "relax.strided_slice",
    "relax.concat",
    "relax.image.resize2d",
    "relax.nn.max_pool2d",
    "relax.max",
    "relax.min",
    "relax.maximum",
    "relax.minimum",
)


@tvm.transform.module_pass(opt_level=0, name="SignQuantization")
class SignQuantization:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return _Rewriter(module).run()


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._shifted: dict[relax.Var, relax.Expr] = {}  # old uint8 variable -> new int8 tensor

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, "relax.quantize") and expr.attrs.out_dtype == "uint8":
            data, scale, zero_point = expr.args
            lowered = self._lowered(zero_point)
            if lowered is None:
                return None
            return self._keep(
                var,
                relax.op.quantize(
                    self.new(data), self.new(scale), lowered, expr.attrs.axis, "int8"
                ),
            )
        if is_call(expr, "relax.dequantize") and dtype_of(expr.args[0]) == "uint8":
            data, scale, zero_point = expr.args
            lowered = self._lowered(zero_point)
            if lowered is None:
                return None
            return relax.op.dequantize(
                self._signed(data), self.new(scale), lowered, expr.attrs.axis
            )
        if not isinstance(var.ty, relax.TensorType) or dtype_of(var) != "uint8":
            return None
        if is_call(expr, *_MOVES):
            return self._keep(var, with_operands(expr, self._signed))
        if is_call(expr, "relax.clip"):
            low, high = (bound - _OFFSET for bound in clip_bounds(expr))
            return self._keep(var, relax.op.clip(self._signed(expr.args[0]), low, high))
        if is_call(expr, "relax.nn.pad") and expr.attrs.pad_mode == "constant":
            value = float(getattr(expr.attrs.pad_value, "value", expr.attrs.pad_value)) - _OFFSET
            width = [int(w) for w in expr.attrs.pad_width]
            data = self._signed(expr.args[0])
            return self._keep(var, relax.op.nn.pad(data, width, "constant", value))
        return None

    def new(self, expr: relax.Expr) -> relax.Expr:
        if isinstance(expr, relax.Var) and expr in self._shifted:
            wide = self.emit(relax.op.astype(self._shifted[expr], "int16"))
            moved = self.emit(relax.op.add(wide, relax.const(_OFFSET, "int16")))
            return self.emit(relax.op.astype(moved, "uint8"))
        return super().new(expr)

    def _keep(self, var: relax.Var, signed: relax.Expr) -> relax.Expr:
        self._shifted[var] = self.emit(signed)
        return self._shifted[var]

    def _signed(self, expr: Any) -> Any:
        """The int8 counterpart of an old uint8 operand; anything else as it is."""
        if isinstance(expr, relax.Tuple):
            return with_operands(expr, self._signed)
        if not isinstance(expr, (relax.Var, GenericConst)) or dtype_of(expr) != "uint8":
            return self.new(expr)
        if isinstance(self.old.definition(expr), relax.Tuple):
            return with_operands(self.old.definition(expr), self._signed)
        constant = self.old.constant(expr)
        if constant is not None and not constant.is_quantized:
            return relax.const((constant.values.astype(np.int16) - _OFFSET).astype(np.int8))
        if expr not in self._shifted:
            wide = self.emit(relax.op.astype(self.new(expr), "int16"))
            moved = self.emit(relax.op.subtract(wide, relax.const(_OFFSET, "int16")))
            self._shifted[expr] = self.emit(relax.op.astype(moved, "int8"))
        return self._shifted[expr]

    def _lowered(self, zero_point: relax.Expr) -> relax.Expr | None:
        constant = self.old.constant(zero_point)
        if constant is None:
            return None
        return relax.const((constant.values.astype(np.int32) - _OFFSET).astype(np.int32))
