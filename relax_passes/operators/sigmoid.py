"""Sigmoid and hyperbolic tangent of int16 tensors."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .operand_checks import check_choices
from .pixel_loop import PixelLoop
from .registry import REQUIRED, OperatorClass, register
from .row_to_row import RowToRow
from .sigmoid_table import sigmoid_at, tanh_at
from .signature import Signature, TensorSpec

_FUNCTIONS = {"sigmoid": sigmoid_at, "tanh": tanh_at}


@register
class Sigmoid(RowToRow):
    """``function`` of int16 data with zero point 0, in Q0.15: LiteRT's LOGISTIC or TANH of int16.

    ``table`` is that of `sigmoid_table`, uint16[256].  It is read at ``data * multiplier >>
    shift``, rounded, which is in 3 * 4096ths (see `quantized.sigmoid_factors`).
    """

    name = "sigmoid"
    memory_class = OperatorClass.ELEMENTWISE
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

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = PixelLoop(signature.inputs[0], signature.output, merge=True)
        function = _FUNCTIONS[signature["function"]]
        multiplier, shift = signature["multiplier"], signature["shift"]
        half = 1 << (shift - 1) if shift else 0

        @script.row_kernel(signature)
        def sigmoid_row(row, X, data_rows, F, O):
            scaled = T.alloc_buffer((1,), "int32")
            for p in range(g.pixels):
                for c in range(g.channels):
                    scaled[0] = (
                        T.cast(X[g.data_index(row, data_rows, p, c)], "int32") * multiplier + half
                    ) >> shift
                    O[g.out_index(p, c)] = T.cast(function(scaled[0], F), "int16")

        return sigmoid_row
