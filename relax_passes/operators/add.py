"""Addition and subtraction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point
from .elementwise import BinaryOperator
from .registry import register
from .signature import Signature, TensorSpec


class _Sum(BinaryOperator):
    """Base of `add` and `subtract`: ``clamp(a + sign * b)``.

    int8, int16: with ``x' = x - zero_point``, a common finer scale and a factor for each tensor
    (``zero_points``, ``multipliers`` and ``shifts`` are in the order a, b, out)::

        sum = requantize(a' << left_shift, factor_a) + sign * requantize(b' << left_shift, factor_b)
        out = clamp(requantize(sum, factor_out) + zero_point_out)

    which is the arithmetic of LiteRT's ADD and SUB (``tensorflow/lite/kernels/internal/reference/
    add.h``).
    """

    sign = 1
    defaults = {
        "minimum": None,
        "maximum": None,
        "zero_points": (0, 0, 0),  # a, b, out
        "left_shift": 20,
        "multipliers": None,  # a, b, out
        "shifts": None,  # a, b, out
        "rounding": "double",
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        spec = super().infer(inputs, attrs)
        if spec.dtype != "float32":
            for name in ("zero_points", "multipliers", "shifts"):
                if attrs[name] is None or len(attrs[name]) != 3:
                    raise ValueError(
                        f"{self.name} of {spec.dtype} needs 3 {name} (a, b, out), got {attrs[name]}"
                    )
            fixed_point.check_rounding(self.name, attrs["rounding"])
        return spec

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        sign = self.sign
        low, high = signature["minimum"], signature["maximum"]
        if signature.output.dtype == "float32":
            return lambda a, b: fixed_point.clamp(
                a + b if sign > 0 else a - b, low, high, "float32"
            )
        zero_points, left_shift = signature["zero_points"], signature["left_shift"]
        factors = [
            (tirx.const(m, "int32"), tirx.const(s, "int32"))
            for m, s in zip(signature["multipliers"], signature["shifts"])
        ]
        rounding = signature["rounding"]

        def scaled(value: Any, operand: int) -> Any:
            shifted = (T.cast(value, "int32") - zero_points[operand]) * (1 << left_shift)
            scaled_value = fixed_point.multiply(shifted, *factors[operand], rounding)
            return fixed_point.hold(f"scaled_{'ab'[operand]}", scaled_value)

        def compute(a: Any, b: Any) -> Any:
            total = scaled(a, 0) + scaled(b, 1) if sign > 0 else scaled(a, 0) - scaled(b, 1)
            result = fixed_point.multiply(total, *factors[2], rounding) + zero_points[2]
            return fixed_point.saturate(result, low, high, signature.output.dtype)

        return compute


@register
class Add(_Sum):
    """Sum of two tensors, broadcast, with a fused clamp; see the base class for integers."""

    name = "add"


@register
class Subtract(_Sum):
    """Difference of two tensors, broadcast, with a fused clamp; see the base class for integers."""

    name = "subtract"
    sign = -1
