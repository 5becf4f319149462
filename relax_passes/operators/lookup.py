"""Any function of one int8 variable, as a table of its 256 values."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .pixel_loop import PixelLoop
from .registry import OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec

_TABLE_TYPES = ("int8", "float32")


@register
class Lookup(RowToRow):
    """Table lookup: ``out = table[data + 128]``, of the table's type.

    ``data`` is int8 of any shape, ``table`` has 256 entries, int8 or float32.  `tables` fills the
    tables of LiteRT's int8 functions.
    """

    name = "lookup"
    memory_class = OperatorClass.ELEMENTWISE
    arguments = ("data", "table")

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape with the table's type."""
        if len(inputs) != 2:
            raise ValueError(f"lookup takes data and a table, got {len(inputs)} arguments")
        data, table = inputs
        if data.dtype != "int8":
            raise ValueError(f"lookup takes int8 data, got {data.dtype}")
        if table.shape != (256,) or table.dtype not in _TABLE_TYPES:
            raise ValueError(
                f"lookup takes a table of 256 entries of {' or '.join(_TABLE_TYPES)}, got "
                f"{table.dtype} of shape {table.shape}"
            )
        return TensorSpec(data.shape, table.dtype)

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = PixelLoop(signature.inputs[0], signature.output, merge=True)

        @script.row_kernel(signature)
        def lookup_row(row, X, data_rows, F, O):
            for p in range(g.pixels):
                for c in range(g.channels):
                    O[g.out_index(p, c)] = F[
                        T.cast(X[g.data_index(row, data_rows, p, c)], "int32") + 128
                    ]

        return lookup_row
