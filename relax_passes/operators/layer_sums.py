"""The sums of products that convolutions and dense layers are, in float32 and in integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point
from .signature import Signature

ATTRIBUTES: dict[str, Any] = {
    "minimum": None,
    "maximum": None,
    "input_zero_point": 0,
    "weight_zero_point": 0,
    "output_zero_point": 0,
    "rounding": "double",
}


class LayerSums:
    """The arithmetic of a layer whose operands are data, weight, bias, and in integers factors.

    Methods take and give TIR expressions.
    """

    def __init__(self, signature: Signature) -> None:
        self._attrs = signature.attrs
        self._dtype = signature.inputs[0].dtype
        self.accumulator = signature.inputs[2].dtype

    def term(self, element: Any, weight: Any) -> Any:
        """What an element of the data adds to a sum."""
        if self._dtype == "float32":
            return element * weight
        centred = T.cast(element, "int32") - self._attrs["input_zero_point"]
        weight = T.cast(weight, "int32") - self._attrs["weight_zero_point"]
        return fixed_point.widened(centred * weight, self.accumulator)

    def result(self, total: Any, factors: Sequence[tirx.Buffer], channel: Any) -> Any:
        """The element of an output channel; its `factors` are multiplier and shift, or none."""
        bounds = self._attrs["minimum"], self._attrs["maximum"]
        if self._dtype == "float32":
            return fixed_point.clamp(total, *bounds, "float32")
        multiplier, shift = (factor[channel] for factor in factors)
        scaled = fixed_point.multiply(total, multiplier, shift, self._attrs["rounding"])
        scaled = scaled + self._attrs["output_zero_point"]
        return fixed_point.let(
            "scaled",
            scaled,
            "int32",
            lambda named: fixed_point.saturate(named, *bounds, self._dtype),
        )
