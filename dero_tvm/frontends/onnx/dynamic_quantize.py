"""DynamicQuantizeLinear: uint8 with a scale and a zero point that follow from the data.

They are computed, so what follows stays arithmetic of numbers: it is no quantization that the
compiler could take over.  TVM's importer makes one of it, with a scale that it does not know.
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from .old_operators import Node

_STEPS = 255.0


def dynamic_quantize(node: Node) -> relax.Expr:
    """The integers, their scale, their zero point.  Of zeros alone the scale is 1."""
    (data,), emit = node.inputs, node.builder.normalize
    number = lambda value: relax.const(np.float32(value), "float32")  # noqa: E731
    highest = emit(relax.op.maximum(emit(relax.op.max(data)), number(0)))
    lowest = emit(relax.op.minimum(emit(relax.op.min(data)), number(0)))
    width = emit(relax.op.divide(emit(relax.op.subtract(highest, lowest)), number(_STEPS)))
    is_flat = emit(relax.op.equal(width, number(0)))
    scale = emit(relax.op.where(is_flat, number(1), width))
    offset = emit(relax.op.round(emit(relax.op.negative(emit(relax.op.divide(lowest, scale))))))
    offset = emit(relax.op.clip(offset, 0, _STEPS))
    steps = emit(relax.op.round(emit(relax.op.divide(data, scale))))
    steps = emit(relax.op.clip(emit(relax.op.add(steps, offset)), 0, _STEPS))
    integers, zero_point = (relax.op.astype(x, "uint8") for x in (steps, offset))
    return relax.Tuple([emit(integers), scale, emit(zero_point)])
