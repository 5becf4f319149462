"""Any function of one int8 variable, as a table of its 256 values."""

from __future__ import annotations

from typing import Any

from tvm.script import tirx as T

from .element_map import ElementMap
from .registry import register
from .signature import Signature, TensorSpec

_TABLE_TYPES = ("int8", "float32")


@register
class Lookup(ElementMap):
    """Table lookup: ``out = table[data + 128]``, of the table's type.

    ``data`` is int8 of any shape, ``table`` has 256 entries, int8 or float32.  `tables` fills the
    tables of LiteRT's int8 functions.
    """

    name = "lookup"
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

    def element(self, signature: Signature, value: Any, table: Any) -> Any:
        return table[T.cast(value, "int32") + 128]
