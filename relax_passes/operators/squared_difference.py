"""The square of a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point
from .elementwise import BinaryOperator
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec


@register
class SquaredDifference(BinaryOperator):
    """``(a - b) ** 2`` of int8 tensors, broadcast.

    Both are shifted left and brought to one scale before they are subtracted, as LiteRT's
    SQUARED_DIFFERENCE does (``tensorflow/lite/kernels/squared_difference.cc``):
    `quantized.squared_difference_factors` makes the attributes.
    """

    name = "squared_difference"
    dtypes = ("int8",)
    defaults = {
        "zero_points": REQUIRED,  # a, b, out
        "left_shift": REQUIRED,
        "multipliers": REQUIRED,  # a, b, out
        "shifts": REQUIRED,  # a, b, out
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        for name in ("zero_points", "multipliers", "shifts"):
            if len(attrs[name]) != 3:
                raise ValueError(f"squared_difference needs 3 {name}, got {attrs[name]}")
        return super().infer(inputs, attrs)

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        zero_points, left_shift = signature["zero_points"], signature["left_shift"]
        factors = [
            (tirx.const(multiplier, "int32"), tirx.const(shift, "int32"))
            for multiplier, shift in zip(signature["multipliers"], signature["shifts"])
        ]

        def scaled(value: Any, operand: int) -> Any:
            shifted = (T.cast(value, "int32") - zero_points[operand]) * (1 << left_shift)
            return fixed_point.multiply(shifted, *factors[operand], "double")

        def compute(a: Any, b: Any) -> Any:
            difference = fixed_point.hold("difference", scaled(a, 0) - scaled(b, 1))
            square = fixed_point.multiply(difference * difference, *factors[2], "double")
            return fixed_point.saturate(square + zero_points[2], None, None)

        return compute
