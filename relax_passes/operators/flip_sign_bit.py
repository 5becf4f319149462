"""uint8 to int8 and back at one scale, with a zero point 128 lower or higher."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .operand_checks import single_operand
from .pixel_loop import PixelLoop
from .registry import OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec

_OTHER = {"uint8": "int8", "int8": "uint8"}


@register
class FlipSignBit(RowToRow):
    """``data - 128`` of uint8 as int8, ``data + 128`` of int8 as uint8.

    Both are the same byte with the other sign bit, so no value saturates and the result may take
    the place of the data.
    """

    name = "flip_sign_bit"
    memory_class = OperatorClass.ELEMENTWISE

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape with the other of the two types."""
        data = single_operand(self.name, inputs, _OTHER)
        return TensorSpec(data.shape, _OTHER[data.dtype])

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        data_type, out_type = signature.inputs[0].dtype, signature.output.dtype
        g = PixelLoop(signature.inputs[0], signature.output, merge=True)
        step = tirx.const(128 if data_type == "int8" else -128, "int32")

        @script.row_kernel(signature)
        def flip_sign_bit_row(row, X, data_rows, O):
            for p in range(g.pixels):
                for c in range(g.channels):
                    O[g.out_index(p, c)] = T.cast(
                        T.cast(X[g.data_index(row, data_rows, p, c)], "int32") + step, out_type
                    )

        return flip_sign_bit_row
