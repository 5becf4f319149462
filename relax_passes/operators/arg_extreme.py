"""Where along the last axis the largest or the smallest element stands."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .operand_checks import check_choices, single_operand
from .pixel_loop import PixelLoop
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec

KINDS = ("max", "min")
INDEX_TYPES = ("int32", "int64")


@register
class ArgExtreme(Operator):
    """Index of the largest (``max``) or smallest (``min``) element of each pixel.

    Of equal ones the first.  With `keepdims` the last axis stays, with length 1.  `index_type` is
    the result's.
    """

    name = "arg_extreme"
    memory_class = OperatorClass.REDUCTION
    arguments = ("data",)
    defaults = {"kind": REQUIRED, "keepdims": False, "index_type": "int64"}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape without its last axis, or with one of length 1."""
        data = single_operand(self.name, inputs, ("float32", "int8"))
        if not data.shape:
            raise ValueError("arg_extreme takes a tensor of at least one axis")
        check_choices(self.name, attrs, kind=KINDS, index_type=INDEX_TYPES)
        shape = (*data.shape[:-1], 1) if attrs["keepdims"] else data.shape[:-1]
        return TensorSpec(shape, attrs["index_type"])

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        rows = _rows_in_one(signature)
        return row * rows, (row + 1) * rows

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        data_spec, out_spec = signature.inputs[0], signature.output
        g = PixelLoop(data_spec, data_spec)
        rows = _rows_in_one(signature)
        dtype, index_type = data_spec.dtype, out_spec.dtype
        # Pixels that lie side by side in the result, whose last axis they may be.
        stride = out_spec.pixel_stride if signature["keepdims"] else 1

        def better(element: Any, best: Any) -> Any:
            return element > best if signature["kind"] == "max" else element < best

        @script.row_kernel(signature)
        def arg_extreme_row(row, X, data_rows, O):
            for r in range(rows):
                for p in range(g.pixels):
                    best = T.alloc_buffer((1,), dtype)
                    found = T.alloc_buffer((1,), "int32")
                    best[0] = X[g.data_index(row * rows + r, data_rows, p, 0)]
                    found[0] = 0
                    for c in range(g.channels):
                        if better(X[g.data_index(row * rows + r, data_rows, p, c)], best[0]):
                            best[0] = X[g.data_index(row * rows + r, data_rows, p, c)]
                            found[0] = c
                    O[(r * g.pixels + p) * stride] = T.cast(found[0], index_type)

        return arg_extreme_row


def _rows_in_one(signature: Signature) -> int:
    """Rows of the data whose results are one row: without its last axis a tensor has fewer."""
    return signature.inputs[0].rows // signature.output.rows
