"""Elements in another type."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from .element_map import ElementMap
from .operand_checks import check_choices, single_operand
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

TYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")
_FLOATS = {  # the least and the greatest number of float32 that a type holds
    "int8": (-128.0, 127.0),
    "uint8": (0.0, 255.0),
    "int16": (-32768.0, 32767.0),
    "int32": (-(2.0**31), 2.0**31 - 2.0**7),
    "int64": (-(2.0**63), 2.0**63 - 2.0**39),
}


@register
class Cast(ElementMap):
    """The number itself, as C converts it: integers wrap around, fractions are cut off.

    What a type cannot hold of float32 becomes the number next to it; NaN may become any.  Of truth
    values, all but 0 is true.
    """

    name = "cast"
    defaults = {"dtype": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape, and the type wanted."""
        data = single_operand(self.name, inputs, TYPES)
        check_choices(self.name, attrs, dtype=TYPES)
        return TensorSpec(data.shape, attrs["dtype"])

    def element(self, signature: Signature, value: Any) -> Any:
        dtype, made = signature.inputs[0].dtype, signature.output.dtype
        if made == "bool" and dtype != "bool":
            return value != tirx.const(0, dtype)
        if dtype == "float32" and made in _FLOATS:
            low, high = (tirx.const(bound, dtype) for bound in _FLOATS[made])
            value = T.max(T.min(value, high), low)
        return T.cast(value, made)
