"""Multiplication of two activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point
from .elementwise import BinaryOperator
from .registry import register
from .signature import Signature, TensorSpec


@register
class Multiply(BinaryOperator):
    """Product of two tensors, broadcast, with a fused clamp.

    Integers: ``out = clamp(requantize((a - za) * (b - zb)) + zo)`` with ``zero_points = (za, zb,
    zo)`` and one factor (`multiplier`, `shift`), the arithmetic of LiteRT's MUL
    (``tensorflow/lite/kernels/internal/reference/integer_ops/mul.h``).
    """

    name = "multiply"
    defaults = {
        "minimum": None,
        "maximum": None,
        "zero_points": (0, 0, 0),  # a, b, out
        "multiplier": None,
        "shift": None,
        "rounding": "double",
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        spec = super().infer(inputs, attrs)
        if spec.dtype != "float32":
            if len(attrs["zero_points"]) != 3:
                raise ValueError(
                    f"multiply of {spec.dtype} needs 3 zero_points (a, b, out), got "
                    f"{attrs['zero_points']}"
                )
            if attrs["multiplier"] is None or attrs["shift"] is None:
                raise ValueError(f"multiply of {spec.dtype} needs a multiplier and a shift")
            fixed_point.check_rounding(self.name, attrs["rounding"])
        return spec

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        low, high = signature["minimum"], signature["maximum"]
        if signature.output.dtype == "float32":
            return lambda a, b: fixed_point.clamp(a * b, low, high, "float32")
        zero_a, zero_b, zero_out = signature["zero_points"]
        multiplier = tirx.const(signature["multiplier"], "int32")
        shift = tirx.const(signature["shift"], "int32")
        rounding = signature["rounding"]

        def compute(a: Any, b: Any) -> Any:
            product = (T.cast(a, "int32") - zero_a) * (T.cast(b, "int32") - zero_b)
            result = fixed_point.multiply(product, multiplier, shift, rounding) + zero_out
            return fixed_point.saturate(result, low, high, signature.output.dtype)

        return compute
