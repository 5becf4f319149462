"""Running sums and products along the last axis."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .integer_binary import FUNCTIONS as INTEGER_FUNCTIONS
from .integer_binary import TYPES as WHOLE_NUMBERS
from .operand_checks import check_choices, single_operand
from .pixel_loop import PixelLoop
from .registry import REQUIRED, OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec

TYPES = ("float32", *WHOLE_NUMBERS)
_NEUTRAL = {"sum": 0, "product": 1}
_INTEGER = {"sum": "add", "product": "multiply"}
KINDS = tuple(_NEUTRAL)


@register
class Cumulative(RowToRow):
    """Each element is the sum (``product``) of those of its pixel up to itself.

    With `exclusive` it is that of those before it, so that the first one is 0 (1).  Elements are
    taken in their order; integers wrap around.
    """

    name = "cumulative"
    memory_class = OperatorClass.REDUCTION
    defaults = {"kind": REQUIRED, "exclusive": False}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape and type."""
        data = single_operand(self.name, inputs, TYPES)
        check_choices(self.name, attrs, kind=KINDS)
        return TensorSpec(data.shape, data.dtype)

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = PixelLoop(signature.inputs[0], signature.output)
        kind, exclusive = signature["kind"], signature["exclusive"]
        dtype = signature.output.dtype
        neutral = tirx.const(_NEUTRAL[kind], dtype)

        def combined(total: Any, element: Any) -> Any:
            if dtype in WHOLE_NUMBERS:
                return INTEGER_FUNCTIONS[_INTEGER[kind]](total, element, dtype)
            return total + element if kind == "sum" else total * element

        @script.row_kernel(signature)
        def cumulative_row(row, X, data_rows, O):
            for p in range(g.pixels):
                total = T.alloc_buffer((1,), dtype)
                before = T.alloc_buffer((1,), dtype)
                total[0] = neutral
                for c in range(g.channels):
                    before[0] = total[0]
                    total[0] = combined(total[0], X[g.data_index(row, data_rows, p, c)])
                    O[g.out_index(p, c)] = before[0] if exclusive else total[0]

        return cumulative_row
