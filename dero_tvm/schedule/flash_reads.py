"""What an inference reads from flash, at least.

Each call of a kernel makes a row, or in windows of columns a row of a window, and goes through all
constants of its operation in the order in which they lie:

    bytes read  =  calls x bytes of the constants

That is what remains where a cache holds the constants of one operation from pixel to pixel.  A core
without a cache reads those of a convolution again for every pixel, or for every two.
"""

from __future__ import annotations

from .network import Network
from .operation import Operation


def flash_reads(network: Network) -> dict[str, int]:
    """Bytes of weights and tables that an inference reads, by the operation's result."""
    return {op.result: _reads(op, network) for op in network.operations}


def _reads(op: Operation, network: Network) -> int:
    if op.group is None:
        return _calls(op) * _constant_bytes(op, network)
    return sum(
        op.group.calls_of(index) * _constant_bytes(part, network)
        for index, part in enumerate(op.group.operations)
    )


def _calls(op: Operation) -> int:
    return 1 if op.function is not None else op.in_schedule().steps


def _constant_bytes(op: Operation, network: Network) -> int:
    return sum(network.constants[name].nbytes for name in op.constants_of(network.constants))
