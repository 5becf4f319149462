"""Long skips: tensors that wait where memory is shortest, and could be made a second time.

    a = f(x);  b = g(a);  c = h(b);  d = join(c, a)           a waits for d
        ->
    a = f(x);  b = g(a);  c = h(b);  a' = f(x);  d = join(c, a')

The copy begins from tensors that are there anyway when it is needed, and from the network's inputs,
which then stay until it is made.  `relax_passes.streaming.make_again` makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..rows.lives import lives_of, times_of
from ..rows.problem import Call, RowProblem
from .network import WindowNetwork

_LEAST_SHARE = 8  # of the bytes alive at the peak that a skip is worth looking at: one in so many


@dataclass(frozen=True)
class LongSkip:
    """A `tensor` that the operations of `chain` could make again for those of `readers`.

    Both ascend; the last one of the chain makes the tensor.  `macs` are those of the chain.
    """

    tensor: int
    readers: tuple[int, ...]
    chain: tuple[int, ...]
    macs: int


def skips_at_peak(
    network: WindowNetwork,
    problem: RowProblem,
    running: Callable[[Call], range],
    most_macs: int,
) -> list[LongSkip]:
    """Those that wait while most bytes are alive, the largest first; each for the longest wait.

    `problem` is a plan of the network, whose tensors it names, with its calls in their order, each
    of which is of the operations `running`.  No skip costs more than `most_macs`
    multiply-accumulates.
    """
    call, alive, peak = _at_peak(network, problem)
    group = running(call)
    found = []
    for tensor, size in sorted(alive.items(), key=lambda item: (-item[1], item[0])):
        if size * _LEAST_SHARE < peak or network.lasts(tensor):
            continue
        for first in _longest_wait_first(network, tensor):
            readers = network.readers[tensor]
            waits = readers[first - 1] <= group.stop - 1 and readers[first] >= group.start
            skip = long_skip(network, tensor, readers[first:]) if waits else None
            if skip is not None and skip.macs <= most_macs:
                found.append(skip)
                break
    return found


def long_skip(network: WindowNetwork, tensor: int, readers: tuple[int, ...]) -> LongSkip | None:
    """`tensor` made again for its last `readers`.

    None if that needs rows that the application hands over once, or a running reduction, or if the
    application takes the rows from one of the readers.
    """
    operations = network.operations
    if any(operations[reader].by_row for reader in readers):
        return None
    wanted, chain = [tensor], set[int]()
    while wanted:
        producer = network.producers.get(wanted.pop())
        if producer is None or producer in chain:
            continue
        if operations[producer].by_row or operations[producer].state:
            return None
        chain.add(producer)
        for operand in operations[producer].operands:
            if network.readers[operand.tensor][-1] < readers[0]:  # nothing keeps it until then
                wanted.append(operand.tensor)
    if not chain:
        return None
    return LongSkip(tensor, readers, tuple(sorted(chain)), sum(operations[op].macs for op in chain))


def _longest_wait_first(network: WindowNetwork, tensor: int) -> Iterator[int]:
    """Numbers of readers behind a wait; what reads it next to the one before does not wait."""
    readers = network.readers[tensor]
    waits = {number: readers[number] - readers[number - 1] for number in range(1, len(readers))}
    return iter(sorted((n for n in waits if waits[n] > 1), key=lambda n: -waits[n]))


def _at_peak(network: WindowNetwork, problem: RowProblem) -> tuple[Call, dict[int, int], int]:
    """The call with most bytes alive, the bytes of each tensor then, and of all."""
    live = lives_of(problem).live_bytes
    time = int(np.argmax(live))
    numbers = {tensor.name: number for number, tensor in enumerate(network.tensors)}
    alive = {}
    for tensor, births, deaths in zip(problem.tensors, *times_of(problem), strict=True):
        rows = int(np.sum((births >= 0) & (births <= time) & (time <= deaths)))
        if rows and tensor.name in numbers:
            alive[numbers[tensor.name]] = rows * tensor.row_bytes
    return problem.calls[time], alive, int(live[time])
