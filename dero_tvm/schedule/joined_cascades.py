"""Cascades of which several are to be one, as groups of operations run over their ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dero_tvm.boundary.errors import UserError

from .network import Cascade, CascadeKind, Network, Operation, joint_name


def joined_cascades(network: Network, spans: Iterable[tuple[int, int]]) -> Network:
    """`network` with every span of operations, first to last, in one cascade.

    Operations are numbered in the order of the cascades.  Raises UserError where cascades cannot be
    one.
    """
    starts = [0]
    for cascade in network.cascades:
        starts.append(starts[-1] + len(cascade.operations))
    together = list(range(len(network.cascades)))  # the first cascade of those that each joins
    for first, last in spans:
        if not 0 <= first <= last < starts[-1]:
            raise UserError(
                f"a group in windows of columns has operations {first} to {last}, but the network "
                f"has {starts[-1]}; number them from 0"
            )
        of_first, of_last = (_at(starts, operation) for operation in (first, last))
        for index in range(of_first + 1, of_last + 1):
            together[index] = together[of_first]
    found: list[list[Cascade]] = []
    for index, cascade in enumerate(network.cascades):
        if together[index] == index:
            found.append([])
        found[-1].append(cascade)
    return replace(network, cascades=tuple(_joined(network, part) for part in found))


def _at(starts: Sequence[int], operation: int) -> int:
    """The cascade that has an operation."""
    return next(i for i, end in enumerate(starts[1:]) if operation < end)


def _joined(network: Network, cascades: Sequence[Cascade]) -> Cascade:
    if len(cascades) == 1:
        return cascades[0]
    operations = tuple(op for cascade in cascades for op in cascade.operations)
    descends = any(cascade.descending for cascade in cascades)
    apart = operations[0] if descends else first_apart(network, operations)
    if apart is not None:
        layers = network.layers.get(apart.result) or (apart.name,)
        raise UserError(
            f"a group in windows of columns cannot run over layer {layers[0]}, which takes a "
            "tensor whole; end the group before it"
        )
    return Cascade(joint_name(cascades), CascadeKind.STREAM, operations)


def first_apart(network: Network, operations: Sequence[Operation]) -> Operation | None:
    """The first of some operations that cannot run in one cascade with the others.

    It takes whole tensors, or knows what another one makes by another name.
    """
    made = {network.values[op.result].buffer: op.result for op in operations}
    for op in operations:
        read = [name for name in op.operands if name in network.values]
        views = any(made.get(network.values[name].buffer, name) != name for name in read)
        if op.function is not None or views:
            return op
    return None
