"""`SignQuantization`: uint8 activations become int8 with a zero point 128 lower.

    quantize(x, s, z) : uint8    ->   quantize(x, s, z - 128) : int8
    dequantize(q : uint8, s, z)  ->   dequantize(q - 128 : int8, s, z - 128)

The real values stay the same.  In between, moves (see `moves`), clips and
padding work on the shifted integers as they did on the others, and so do averages, with LiteRT's
rounding of the integers as they were.  Constants shift at compile time, which makes weights with
zero point 128 symmetric.

LiteRT requantizes the sums of layers with weights in another way if they are uint8: `main`'s
attribute ``dero.unsigned_layers`` says that there are some.

Inputs and results of `main` keep their uint8; `dero.flip_sign_bit` converts them.  An operator that
is not named above gets its uint8 operand back by the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst

from ..ir.attributes import UNSIGNED_LAYERS
from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, with_operands
from ..ir.rewriting_pass import rewriting_pass
from ..operators import make_call
from .fold_constants import clip_bounds
from .moves import is_move, pad_value, pads_with_constant

NAME = "SignQuantization"
_OFFSET = 128
_BY_INDEX = ("relax.take", "relax.argmax", "relax.argmin")  # work on shifted integers as well


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
            readers = self.old.readers.get(var, [])
            if self.rounding == "double" and any(map(self._is_layer, readers)):
                self.attrs[UNSIGNED_LAYERS] = True
            return relax.op.dequantize(
                self._signed(data), self.new(scale), lowered, expr.attrs.axis
            )
        if is_call(expr, *_BY_INDEX) and expr.args[0] in self._shifted:
            moved = with_operands(expr, self._signed)
            return moved if dtype_of(var) != "uint8" else self._keep(var, moved)
        if not isinstance(var.ty, relax.TensorType) or dtype_of(var) != "uint8":
            return None
        if is_move(expr):
            return self._keep(var, with_operands(expr, self._signed))
        if is_call(expr, "relax.clip"):
            low, high = (bound - _OFFSET for bound in clip_bounds(expr))
            return self._keep(var, relax.op.clip(self._signed(expr.args[0]), low, high))
        if pads_with_constant(expr):
            width = [int(w) for w in expr.attrs.pad_width]
            data, value = self._signed(expr.args[0]), pad_value(expr) - _OFFSET
            return self._keep(var, relax.op.nn.pad(data, width, "constant", value))
        pool = self._average_pool(expr)
        return None if pool is None else self._keep(var, pool)

    def _is_layer(self, reader: relax.Var | None) -> bool:
        layers = ("relax.nn.conv2d", "relax.nn.conv2d_transpose", "relax.matmul")
        return reader is not None and is_call(self.old.definitions[reader], *layers)

    def _average_pool(self, narrow: Any) -> relax.Expr | None:
        """``astype(avg_pool2d(astype(q, int32)), uint8)``, as TFLite's pooling is imported."""
        if not is_call(narrow, "relax.astype"):
            return None
        pool = self.old.definition(narrow.args[0])
        if not is_call(pool, "relax.nn.avg_pool2d") or dtype_of(pool) != "int32":
            return None
        a, widen = pool.attrs, self.old.definition(pool.args[0])
        if not is_call(widen, "relax.astype") or dtype_of(widen.args[0]) != "uint8":
            return None
        if (a.layout, a.out_layout) != ("NHWC", "NHWC") or a.ceil_mode or a.count_include_pad:
            return None
        return make_call(
            "pool2d",
            [self._signed(widen.args[0])],
            kind="average",
            pool_size=a.pool_size,
            strides=a.strides,
            padding=a.padding,
            dilation=a.dilation,
            input_zero_point=-_OFFSET,
            output_zero_point=-_OFFSET,
        )

    def new(self, expr: relax.Expr) -> relax.Expr:
        if isinstance(expr, relax.Var) and expr in self._shifted:
            return self.emit(make_call("flip_sign_bit", [self._shifted[expr]]))
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
        constant = self.old.constant(expr)
        if constant is not None and not constant.is_quantized:
            return relax.const((constant.values.astype(np.int16) - _OFFSET).astype(np.int8))
        if expr not in self._shifted:
            self._shifted[expr] = self.emit(make_call("flip_sign_bit", [self.new(expr)]))
        return self._shifted[expr]

    def _lowered(self, zero_point: relax.Expr) -> relax.Expr | None:
        constant = self.old.constant(zero_point)
        if constant is None:
            return None
        return relax.const((constant.values.astype(np.int32) - _OFFSET).astype(np.int32))


SignQuantization = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""
