"""Cast of floating-point numbers to integers, as one operator.

TVM's importer spells out in nine operators what becomes of numbers that the type cannot hold, of
which ONNX leaves open what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from tvm import relax
from tvm.ir import GenericConst

_INTEGERS = {
    getattr(onnx.TensorProto, name.upper()): name
    for name in ("int8", "uint8", "int16", "int32", "int64")
}


def cast(inputs: Sequence[relax.Expr | None], attrs: Mapping[str, Any]) -> relax.Expr | None:
    """The converted operator; None for other types, constants and shapes: TVM's importer's."""
    data: Any = inputs[0]
    kind = _INTEGERS.get(attrs["to"])
    if kind is None or isinstance(data, GenericConst) or not isinstance(data.ty, relax.TensorType):
        return None
    return relax.op.astype(data, kind) if str(data.ty.dtype).startswith("float") else None
