"""LRN: every element divided by a power of the squares of its neighbours among the channels.

TVM's importer pools over the channels in three dimensions, and makes one channel more where `size`
is even.
"""

from __future__ import annotations

from tvm import relax

from relax_passes.operators.rules.local_response import channels_normalized

from .old_operators import Node


def local_response(node: Node) -> relax.Expr:
    """Over the channels, axis 1; of an even number of them one more lies behind than in front."""
    attrs, (data,) = node.attrs, node.inputs
    size = int(attrs["size"])
    return channels_normalized(
        node.builder.normalize,
        *(data, 1),
        before=(size - 1) // 2,
        after=size // 2,
        bias=float(attrs.get("bias", 1.0)),
        factor=float(attrs.get("alpha", 1e-4)) / size,
        exponent=float(attrs.get("beta", 0.75)),
    )
