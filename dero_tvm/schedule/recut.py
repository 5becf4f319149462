"""A network with its operations cut into other cascades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relax_passes.operators import operator_of

from .joined_cascades import first_apart
from .network import Cascade, CascadeKind, Network, Operation, joint_name


def recut(network: Network, begins: Sequence[int]) -> Network:
    """`network` with cascades that begin with these operations, in the order of all of them.

    All rows ascend.  Raises ``ValueError`` where a cascade would have an operation in it that takes
    whole tensors, or one that knows what another one makes by another name.
    """
    operations = network.operations
    ends = (*begins[1:], len(operations))
    parts = [operations[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return replace(network, cascades=tuple(_cascade(network, part) for part in parts))


def _cascade(network: Network, operations: Sequence[Operation]) -> Cascade:
    if len(operations) == 1:
        return Cascade(operations[0].name, CascadeKind.SINGLE, tuple(operations))
    apart = first_apart(network, operations)
    if apart is not None:
        raise ValueError(f"{apart.name} takes whole tensors and runs in a cascade of its own")
    alone = [Cascade(op.name, CascadeKind.SINGLE, (op,)) for op in operations]
    streamed = tuple(map(_running, operations))
    return Cascade(joint_name(alone), CascadeKind.STREAM, streamed)


def _running(op: Operation) -> Operation:
    """The operation as it is in a cascade: one that can takes its operand row by row."""
    operator = operator_of(op.signature.operator)
    if operator is None or op.row_operands != (0,):
        return op
    return replace(op, state=operator.running_state(op.signature))
