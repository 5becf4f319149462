"""OneHot of constant values along a new axis; TVM's importer takes depths that are scalars only."""

from __future__ import annotations

import numpy as np
from tvm import relax

from .old_operators import Node, numbers


def one_hot(node: Node) -> relax.Expr:
    """The second value where an index, or what it is from the end, is the place along the axis."""
    indices, emit = node.inputs[0], node.builder.normalize
    depth = int(numbers(node.inputs[1], "depth and values").reshape(-1)[0])
    values = numbers(node.inputs[2], "depth and values")
    result, on = (relax.const(value, str(values.dtype)) for value in values)
    rank = len(indices.ty.shape) + 1
    axis = int(node.attrs.get("axis", -1)) % rank
    along = [-1 if place == axis else 1 for place in range(rank)]
    data, dtype = emit(relax.op.expand_dims(indices, axis)), str(indices.ty.dtype)
    for first in (0, -depth):
        places = np.arange(first, first + depth).reshape(along)
        met = emit(relax.op.equal(data, relax.const(places, dtype)))
        result = emit(relax.op.where(met, on, result))
    return result
