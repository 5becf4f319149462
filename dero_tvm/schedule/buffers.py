"""The buffers of a network as planning by rows sees them: what each holds, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dero_tvm.planning.problem import BufferKind

from .network import Network, Operation, Value

TakesTable = Callable[[Operation, int], bool]
"""Whether an operation's kernels can look the rows of an operand up in a table."""


def views_of_buffers(network: Network) -> Mapping[str, Sequence[Value]]:
    """The values that each buffer holds, in the order of the network."""
    views: dict[str, list[Value]] = {}
    for value in network.values.values():
        views.setdefault(value.buffer, []).append(value)
    return views


def kinds_of_ports(network: Network) -> Mapping[str, BufferKind]:
    """The buffers of inputs and outputs that the application sees as arrays; inputs, if both."""
    ports = ((network.outputs, BufferKind.OUTPUT), (network.inputs, BufferKind.INPUT))
    return {
        network.values[port.value].buffer: kind
        for some, kind in ports
        for port in some
        if not port.row_streamed
    }


def read_whole(network: Network, takes_table: TakesTable) -> set[str]:
    """Buffers whose rows have to lie in sequence because of some kernel."""
    found = set()
    for op in network.operations:
        for index, name in enumerate(op.operands):
            if name in network.values:
                by_rows = op.function is None and index in op.row_operands
                if not by_rows or not takes_table(op, index):
                    found.add(network.values[name].buffer)
        if op.function is not None:
            found.add(network.values[op.result].buffer)
    return found
