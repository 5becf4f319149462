"""Integers of one scale as integers of another."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .operand_checks import check_choices, single_operand
from .pixel_loop import PixelLoop
from .registry import REQUIRED, OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec

_RESULTS = (*fixed_point.ACTIVATIONS, "int32")


@register
class Requantize(RowToRow):
    """``requantize(data - input_zero_point) + output_zero_point``, saturated to `dtype`, clamped.

    Data are int8 or int16, the result is int8, int16 or int32, the arithmetic LiteRT's
    (``tensorflow/lite/kernels/internal/reference/requantize.h``).
    """

    name = "requantize"
    memory_class = OperatorClass.ELEMENTWISE
    defaults = {
        "input_zero_point": 0,
        "output_zero_point": 0,
        "multiplier": REQUIRED,
        "shift": REQUIRED,
        "dtype": REQUIRED,
        "minimum": None,
        "maximum": None,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape."""
        data = single_operand(self.name, inputs, fixed_point.ACTIVATIONS)
        check_choices(self.name, attrs, dtype=_RESULTS)
        return TensorSpec(data.shape, attrs["dtype"])

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = PixelLoop(signature.inputs[0], signature.output, merge=True)
        target = signature.output.dtype
        zero_in, zero_out = signature["input_zero_point"], signature["output_zero_point"]
        multiplier, shift = (
            tirx.const(signature[name], "int32") for name in ("multiplier", "shift")
        )
        low, high = signature["minimum"], signature["maximum"]
        if target != "int32":
            low, high = fixed_point.integer_limits(signature, target)

        @script.row_kernel(signature)
        def requantize_row(row, X, data_rows, O):
            for p in range(g.pixels):
                for c in range(g.channels):
                    value: T.let[T.int32] = (
                        T.cast(X[g.data_index(row, data_rows, p, c)], "int32") - zero_in
                    )
                    scaled: T.let[T.int32] = (
                        fixed_point.multiply(value, multiplier, shift, "double") + zero_out
                    )
                    O[g.out_index(p, c)] = T.cast(fixed_point.clamp(scaled, low, high), target)

        return requantize_row
