"""Sigmoid and hyperbolic tangent of int16 tensors."""

from __future__ import annotations

from typing import Any

from tvm.script import tirx as T

from .element_map import ElementMap
from .fixed_point import hold
from .operand_checks import check_choices
from .registry import REQUIRED, register
from .sigmoid_table import sigmoid_at, tanh_at
from .signature import Signature, TensorSpec

_FUNCTIONS = {"sigmoid": sigmoid_at, "tanh": tanh_at}


@register
class Sigmoid(ElementMap):
    """``function`` of int16 data with zero point 0, in Q0.15: LiteRT's LOGISTIC or TANH of int16.

    ``table`` is that of `sigmoid_table`, uint16[256].  It is read at ``data * multiplier >>
    shift``, rounded, which is in 3 * 4096ths (see `quantized.sigmoid_factors`).
    """

    name = "sigmoid"
    arguments = ("data", "table")
    defaults = {"function": REQUIRED, "multiplier": REQUIRED, "shift": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape and type."""
        if len(inputs) != 2 or inputs[0].dtype != "int16":
            raise ValueError(f"sigmoid takes data of int16 and a table, got {inputs}")
        if inputs[1] != TensorSpec((256,), "uint16"):
            raise ValueError(f"sigmoid takes a table of 256 uint16 numbers, got {inputs[1]}")
        check_choices(self.name, attrs, function=_FUNCTIONS)
        return TensorSpec(inputs[0].shape, "int16")

    def element(self, signature: Signature, value: Any, table: Any) -> Any:
        function = _FUNCTIONS[signature["function"]]
        multiplier, shift = signature["multiplier"], signature["shift"]
        half = 1 << (shift - 1) if shift else 0
        scaled = (T.cast(value, "int32") * multiplier + half) >> shift
        return T.cast(function(hold("scaled", scaled), table), "int16")
