"""Leaky ReLU with a slope for each element."""

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
class PRelu(BinaryOperator):
    """``a`` where it is not negative, ``a * b`` elsewhere, broadcast.

    Integers: ``out = requantize(a - za, factor 0) + zo`` or ``requantize((a - za) * (b - zb),
    factor 1) + zo``, with ``zero_points = (za, zb, zo)``: the arithmetic of LiteRT's PRELU
    (``tensorflow/lite/kernels/internal/reference/prelu.h``).  Factors are those of
    `quantized.prelu_factors`.
    """

    name = "prelu"
    defaults = {"zero_points": None, "multipliers": None, "shifts": None}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        spec = super().infer(inputs, attrs)
        for name, count in (("zero_points", 3), ("multipliers", 2), ("shifts", 2)):
            if spec.dtype != "float32" and len(attrs[name] or ()) != count:
                raise ValueError(f"prelu needs {count} {name}, got {attrs[name]}")
        if spec.shape != inputs[0].shape:
            raise ValueError(
                f"prelu: slopes of shape {inputs[1].shape} are too many for {inputs[0].shape}"
            )
        return spec

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        if signature.output.dtype == "float32":
            return lambda a, b: T.Select(a >= tirx.const(0.0, "float32"), a, a * b)
        zero_a, zero_b, zero_out = signature["zero_points"]
        positive, negative = (
            (tirx.const(multiplier, "int32"), tirx.const(shift, "int32"))
            for multiplier, shift in zip(signature["multipliers"], signature["shifts"])
        )

        def compute(a: Any, b: Any) -> Any:
            value = fixed_point.hold("value", T.cast(a, "int32") - zero_a)
            product = value * (T.cast(b, "int32") - zero_b)
            result = T.Select(
                value >= 0,
                fixed_point.hold("kept", fixed_point.multiply(value, *positive, "double")),
                fixed_point.hold("scaled", fixed_point.multiply(product, *negative, "double")),
            )
            return fixed_point.saturate(result + zero_out, None, None, signature.output.dtype)

        return compute
