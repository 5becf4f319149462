"""Integers of one scale as integers of another."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point
from .element_map import ElementMap
from .operand_checks import check_choices, single_operand
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

_RESULTS = (*fixed_point.ACTIVATIONS, "int32")


@register
class Requantize(ElementMap):
    """``requantize(data - input_zero_point) + output_zero_point``, saturated to `dtype`, clamped.

    Data are int8 or int16, the result is int8, int16 or int32, the arithmetic LiteRT's
    (``tensorflow/lite/kernels/internal/reference/requantize.h``).
    """

    name = "requantize"
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

    def element(self, signature: Signature, value: Any) -> Any:
        target = signature.output.dtype
        multiplier, shift = (
            tirx.const(signature[name], "int32") for name in ("multiplier", "shift")
        )
        low, high = signature["minimum"], signature["maximum"]
        if target != "int32":
            low, high = fixed_point.integer_limits(signature, target)

        def requantized(centred: Any) -> Any:
            scaled = fixed_point.multiply(centred, multiplier, shift, "double")
            return fixed_point.let(
                "scaled",
                scaled + signature["output_zero_point"],
                "int32",
                lambda scaled: T.cast(fixed_point.clamp(scaled, low, high), target),
            )

        centred = T.cast(value, "int32") - signature["input_zero_point"]
        return fixed_point.let("value", centred, "int32", requantized)
