"""LpNormalization: every vector along an axis divided by its norm."""

from __future__ import annotations

import numpy as np
from tvm import relax

from .old_operators import Node

LP_NORMALIZATION = "LpNormalization"


def lp_normalization(node: Node) -> relax.Expr:
    """Zeros stay zeros, as in ONNX Runtime."""
    (data,), emit = node.inputs, node.builder.normalize
    axis, order = int(node.attrs.get("axis", -1)), int(node.attrs.get("p", 2))
    powers = emit(relax.op.abs(data) if order == 1 else relax.op.multiply(data, data))
    norm = emit(relax.op.sum(powers, [axis], keepdims=True))
    norm = norm if order == 1 else emit(relax.op.sqrt(norm))
    least = relax.const(np.finfo("float32").tiny, "float32")
    return relax.op.divide(data, emit(relax.op.maximum(norm, least)))
