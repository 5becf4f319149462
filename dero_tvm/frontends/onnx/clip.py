"""Clip as `maximum` and `minimum`, which later passes know.

TVM's importer makes TIR functions of it, which no pass can look into; and every ReLU6 that PyTorch
exports is a Clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm import relax

_BOUNDS_ARE_OPERANDS = 11  # since this operator set; before, they were attributes


def clip(
    inputs: Sequence[relax.Expr | None], attrs: Mapping[str, Any], opset: int
) -> relax.Expr | None:
    """The converted operator; None if there is nothing to clip to."""
    data = inputs[0]
    assert data is not None
    if opset < _BOUNDS_ARE_OPERANDS:
        low, high = (
            relax.const(attrs[name], data.ty.dtype.dtype) if name in attrs else None
            for name in ("min", "max")
        )
    else:
        low, high = (inputs[i] if i < len(inputs) else None for i in (1, 2))
    if low is None and high is None:
        return None
    result = data if low is None else relax.op.maximum(data, low)
    return result if high is None else relax.op.minimum(result, high)
