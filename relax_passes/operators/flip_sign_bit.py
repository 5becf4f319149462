"""uint8 to int8 and back at one scale, with a zero point 128 lower or higher."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from .element_map import ElementMap
from .operand_checks import single_operand
from .registry import register
from .signature import Signature, TensorSpec

_OTHER = {"uint8": "int8", "int8": "uint8"}


@register
class FlipSignBit(ElementMap):
    """``data - 128`` of uint8 as int8, ``data + 128`` of int8 as uint8.

    Both are the same byte with the other sign bit, so no value saturates and the result may take
    the place of the data.
    """

    name = "flip_sign_bit"

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape with the other of the two types."""
        data = single_operand(self.name, inputs, _OTHER)
        return TensorSpec(data.shape, _OTHER[data.dtype])

    def element(self, signature: Signature, value: Any) -> Any:
        step = tirx.const(128 if signature.inputs[0].dtype == "int8" else -128, "int32")
        return T.cast(T.cast(value, "int32") + step, signature.output.dtype)
