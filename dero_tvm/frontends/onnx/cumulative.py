"""CumSum along a constant axis; TVM's importer goes backwards by a function of loops."""

from __future__ import annotations

from tvm import relax

from .old_operators import Node, numbers


def cumulative_sum(node: Node) -> relax.Expr:
    """From the other end, of the flipped tensor."""
    data, emit = node.inputs[0], node.builder.normalize
    axis = int(numbers(node.inputs[1], "axes").reshape(-1)[0]) % len(data.ty.shape)
    turn = (lambda x: emit(relax.op.flip(x, axis))) if node.attrs.get("reverse") else emit
    exclusive = bool(node.attrs.get("exclusive", 0))
    return turn(emit(relax.op.cumsum(turn(data), axis, exclusive=exclusive)))
