"""`IntegerArithmetic`: float operators between dequantize and quantize compute on integers.

    quantize(clip(conv2d(dequantize(x), dequantize(w)) + dequantize(b)))   ->   dero.conv2d, int8

and likewise dense layers, add, subtract, multiply, average pooling, mean and sum, softmax and
concatenation.  Elementwise functions of one quantized tensor, in however many operators they are
written, become a `lookup` in a table; so does a change of scale.

The arithmetic is LiteRT's where `main`'s attribute ``dero.rounding`` is ``double`` (or absent),
and the closest to ONNX Runtime where it is ``single``.  A clamp before or after the quantization
becomes the operator's.  The integer operator stands where the float operator stood.

What cannot be said in int8 stays in float between `dequantize` and `quantize`, and a sentence in
``dero.notes`` says why, unless no integer of the network stands for anything but itself: that is
one in float32 that takes pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import DataflowRewriter, dtype_of, is_call
from ..ir.rewriting_pass import rewriting_pass
from ..ir.straight_line import operands_of
from ..operators import make_call, tables
from ..operators.fixed_point import ACTIVATIONS, int8_limits
from ..operators.quantized import requantization_of
from ..operators.rules.registry import Refusal, Rules
from .elementwise_region import Region, regions_ending_at
from .epilogue import Epilogue, quantized_epilogue, take_integer_clamp
from .integer_operand import Quantized, integer_factors
from .integer_tables import table_of_region

NAME = "IntegerArithmetic"

IntegerRule = Callable[["IntegerRewriter", relax.Var, Any], "relax.Expr | None"]
INTEGERS: Rules[IntegerRule] = Rules(NAME)
"""What a float call becomes on integers.  None if its operands are not quantized as it wants them,
which is noted where some are quantized; raises `Refusal` if the operator has to stay in float.
"""


class IntegerRewriter(DataflowRewriter):
    """Walks `main`; the operators are in `operators/rules/`."""

    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._regions = self._find_regions()
        self._has_scales = any(self._scales(expr) for _, expr in self.old.bindings)

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if var in self._regions:
            return self._lookup(*self._regions[var])
        if is_call(expr, "relax.quantize"):
            return self._requantize(var, expr)
        rule = INTEGERS.get(expr)
        if rule is not None:
            try:
                new = rule(self, var, expr)
            except Refusal as refusal:
                self.note(var, f"{_name(expr)} kept in float: {refusal}")
                return None
            if new is not None:
                return new
        known = "its operands are not all quantized to int8 with one scale"
        self._note_float(var, expr, known if rule is not None else "it has no integer form")
        return None

    # --- what operators ask ------------------------------------------------------------------

    def quantized(self, expr: relax.Expr, types: Sequence[str] = ("int8",)) -> Quantized | None:
        """The tensor, scale and zero point behind an old float operand, of one of the types.

        int16 is quantized only as LiteRT knows it, whose arithmetic it has.
        """
        call = self.old.definition(expr)
        if not is_call(call, "relax.dequantize") or dtype_of(call.args[0]) not in types:
            return None
        scale, zero_point = (self.old.constant(arg) for arg in call.args[1:])
        if scale is None or zero_point is None:
            return None
        if scale.values.size != 1 or zero_point.values.size != 1:
            return None
        dtype = dtype_of(call.args[0])
        if dtype == "int16" and (self.rounding != "double" or zero_point.values.any()):
            return None
        parameters = float(scale.values.item()), int(zero_point.values.item())
        return Quantized(self.new(call.args[0]), *parameters, dtype)

    def is_quantized(self, expr: relax.Expr) -> bool:
        """True for a dequantized tensor that is not a constant."""
        call = self.old.definition(expr)
        return is_call(call, "relax.dequantize") and not isinstance(
            self.old.definition(call.args[0]), GenericConst
        )

    def epilogue(self, var: relax.Var, *, bias: bool = False, dtype: str = "int8") -> Epilogue:
        """What follows up to the quantization.  Raises :class:`Refusal` if there is none."""
        epilogue = quantized_epilogue(self.old, var, bias=bias, dtype=dtype)
        if epilogue is None:
            raise Refusal(f"its result is not quantized to {dtype} with one scale")
        if dtype == "int16" and epilogue.zero_point:
            raise Refusal(f"its int16 result has zero point {epilogue.zero_point}, not 0")
        return epilogue

    def constant(self, expr: relax.Expr) -> ConstantTensor | None:
        return self.old.constant(expr)

    def dero(
        self, name: str, args: list[relax.Expr], fused: list[relax.Var], **attrs: Any
    ) -> relax.Expr:
        """A new variable bound to an operator, which stands for all that is fused."""
        result = self.emit(make_call(name, args, **attrs))
        for var in fused:
            self.replace(var, result)
        return result

    # --- tables ------------------------------------------------------------------------------

    def _find_regions(self) -> dict[relax.Var, tuple[Region, Epilogue]]:
        """Elementwise functions of one quantized tensor, by their first operator."""
        found = {}
        for last, _ in self.old.bindings:
            epilogue = None
            for region in regions_ending_at(self.old, last):
                if self.quantized(region.source) is None or not self.is_quantized(region.source):
                    continue
                epilogue = epilogue or _quantize_only(self, last)
                if epilogue is not None:
                    found[region.members[0]] = (region, epilogue)
                break
        return found

    def _lookup(self, region: Region, epilogue: Epilogue) -> relax.Expr:
        source = self.quantized(region.source)
        assert source is not None
        table = table_of_region(region, _between(source, epilogue), self.rounding)
        fused = [*region.members, *epilogue.fused]
        return self._table(source, table, epilogue, fused)

    def _requantize(self, var: relax.Var, call: Any) -> relax.Expr | None:
        """`quantize` of a dequantized tensor: another scale, by a table."""
        source = self.quantized(call.args[0], ACTIVATIONS)
        target = Epilogue(var, dtype=call.attrs.out_dtype)
        scale, zero_point = (self.old.constant(arg) for arg in call.args[1:])
        if source is None or scale is None or zero_point is None:
            return None
        if scale.values.size != 1 or target.dtype not in ACTIVATIONS:
            return None
        target.scale, target.zero_point = float(scale.values.item()), int(zero_point.values.item())
        take_integer_clamp(self.old, target)
        if "int16" in (source.dtype, target.dtype):
            return self._rescaled(source, target)
        return self._table(source, self.rescale_table(source, target), target, target.fused)

    def _rescaled(self, source: Quantized, target: Epilogue) -> relax.Expr:
        """What has too many values for a table."""
        assert target.scale is not None
        factor = float(np.float32(source.scale)) / float(np.float32(target.scale))
        multiplier, shift = integer_factors(requantization_of, 1 << 16, factor, "int16")
        return self.dero(
            "requantize",
            [source.data],
            target.fused,
            input_zero_point=source.zero_point,
            output_zero_point=target.zero_point,
            multiplier=multiplier,
            shift=shift,
            dtype=target.dtype,
            minimum=target.minimum,
            maximum=target.maximum,
        )

    def rescale_table(self, source: Quantized, target: Epilogue) -> np.ndarray:
        scales = _between(source, target)
        if self.rounding == "double":
            return tables.requantize(scales)
        return tables.table_of(lambda x: x, scales)

    def concat_table(self, source: Quantized, target: Epilogue) -> np.ndarray:
        """The change of scale within a concatenation, which LiteRT has for uint8 alone."""
        if self.rounding == "double":
            return tables.concat_unsigned(_between(source, target))
        return self.rescale_table(source, target)

    def _table(
        self, source: Quantized, table: np.ndarray, target: Epilogue, fused: list[relax.Var]
    ) -> relax.Expr:
        bounds = {"minimum": target.minimum, "maximum": target.maximum}
        result = self.looked_up(source, table, bounds)
        for var in fused:
            self.replace(var, result)
        return result

    def looked_up(
        self, source: Quantized, table: np.ndarray, bounds: dict[str, int | None]
    ) -> relax.Expr:
        """`source` through `table` limited to `bounds`: a new tensor, constant if it is."""
        limited = np.clip(table, *int8_limits(bounds)).astype(np.int8)
        if isinstance(source.data, GenericConst):
            values = source.data.value.numpy().astype(np.int64)
            return relax.const(np.asarray(limited[values + 128]))
        return self.dero("lookup", [source.data, relax.const(limited)], [])

    # --- notes -------------------------------------------------------------------------------

    def note(self, var: relax.Var, reason: str) -> None:
        if self._has_scales:
            super().note(var, reason)

    def _scales(self, expr: relax.Expr) -> bool:
        """True for a conversion, but for a cast of integers."""
        if is_call(expr, "relax.dequantize"):
            scale = self.old.constant(expr.args[1])
            return scale is None or bool((scale.values != 1).any())
        return is_call(expr, "relax.quantize")

    def _note_float(self, var: relax.Var, expr: relax.Expr, reason: str) -> None:
        if not isinstance(expr, Call) or is_call(expr, "relax.dequantize"):
            return
        if any(isinstance(o, relax.Var) and self.is_quantized(o) for o in operands_of(expr)):
            self.note(var, f"{_name(expr)} kept in float: {reason}")


IntegerArithmetic = rewriting_pass(NAME, IntegerRewriter)
"""Module pass: see the file's docstring."""


def _between(source: Quantized, target: Epilogue) -> tables.Scales:
    assert target.scale is not None
    return tables.Scales(source.scale, source.zero_point, target.scale, target.zero_point)


def _quantize_only(rewriter: IntegerRewriter, var: relax.Var) -> Epilogue | None:
    """The quantization that follows `var` directly."""
    reader = rewriter.old.sole_reader(var)
    if reader is None or not is_call(reader[1], "relax.quantize"):
        return None
    return quantized_epilogue(rewriter.old, var)


def _name(call: Any) -> str:
    return call.op.name.removeprefix("relax.").removeprefix("nn.")
