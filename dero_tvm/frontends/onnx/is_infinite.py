"""IsInf, which may ask for one sign alone; TVM's importer asks for both."""

from __future__ import annotations

import numpy as np
from tvm import relax

from .old_operators import Node


def is_infinite(node: Node) -> relax.Expr:
    """Of neither sign, nothing is."""
    data = node.inputs[0]
    signs = [bool(node.attrs.get(f"detect_{sign}", 1)) for sign in ("negative", "positive")]
    if all(signs):
        return relax.op.isinf(data)
    kind = str(data.ty.dtype)
    end = {(True, False): -np.inf, (False, True): np.inf}.get((signs[0], signs[1]))
    if end is None:
        return relax.op.zeros(data.ty.shape, "bool")
    return relax.op.equal(data, relax.const(end, kind))
