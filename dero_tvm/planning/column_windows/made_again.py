"""Long skips made again: a tensor that waits long is made a second time where it is needed again.

    a = f(x);  b = g(a);  c = h(b);  d = join(c, a)           a waits for d
        ->
    a = f(x);  b = g(a);  c = h(b);  a' = f(x);  d = join(c, a')

The copy begins from tensors that are there anyway when it is needed, as an image that lies in the
arena is.  It is an ordinary network, whose operations are the given ones, some of them twice: what
makes its code need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .frontier import WindowPoint, frontier
from .group_cost import GroupCosts
from .network import Operation, Tensor, WindowNetwork
from .pareto import pareto

_MOST_SKIPS = 4  # that are made again at once


@dataclass(frozen=True)
class MadeAgain:
    """A network with some operations twice; `originals` has the given one of each."""

    network: WindowNetwork
    originals: tuple[int, ...]
    skips: tuple[str, ...] = ()  # names of the tensors that are made again


@dataclass(frozen=True)
class FrontierPoint:
    """A plan of a network in which some tensors may be made again."""

    again: MadeAgain
    point: WindowPoint


def unchanged(network: WindowNetwork) -> MadeAgain:
    """A network with nothing twice."""
    return MadeAgain(network, tuple(range(len(network.operations))))


def made_again(before: MadeAgain, tensor: int, reader: int) -> MadeAgain | None:
    """`tensor` made a second time for operation `reader` and those behind it.

    None if that needs rows that the application hands over once.
    """
    network = before.network
    chain = _chain(network, tensor, reader)
    if chain is None:
        return None
    tensors: list[Tensor] = list(network.tensors)
    copies: dict[int, int] = {}
    for op in chain:
        result = network.operations[op].result
        copies[result] = len(tensors)
        tensors.append(replace(tensors[result], name=f"{tensors[result].name} again"))
    operations: list[Operation] = []
    originals: list[int] = []
    for index, operation in enumerate(network.operations):
        if index == reader:
            for op in chain:
                operations.append(_with_copies(network.operations[op], copies, again=True))
                originals.append(before.originals[op])
        if index >= reader:
            operation = _with_copies(operation, {tensor: copies[tensor]})
        operations.append(operation)
        originals.append(before.originals[index])
    changed = WindowNetwork(tuple(tensors), tuple(operations), network.keep_inputs)
    skips = (*before.skips, network.tensors[tensor].name)
    return MadeAgain(changed, tuple(originals), skips)


def long_skips(network: WindowNetwork) -> list[tuple[int, int]]:
    """Tensors that wait, with the operation they wait for; those first that cost most memory."""
    found = []
    for tensor, spec in enumerate(network.tensors):
        readers = network.readers[tensor]
        for one, other in zip(readers, readers[1:]):
            if other - one > 1 and network.producers.get(tensor) is not None:
                found.append((spec.bytes * (other - one), tensor, other))
    return [(tensor, reader) for _, tensor, reader in sorted(found, reverse=True)]


def frontier_with_skips(
    network: WindowNetwork,
    *,
    keep_columns: bool = True,
    reductions: bool = False,
    most_macs: int | None = None,
) -> tuple[FrontierPoint, ...]:
    """The frontier over groupings, with the longest skips, one after the other, made again."""
    ways = [unchanged(network)]
    for _ in range(_MOST_SKIPS):
        tried = (
            made_again(ways[-1], tensor, reader)
            for tensor, reader in long_skips(ways[-1].network)
            if tensor < len(network.tensors)  # not what is a copy itself
        )
        longer = next((way for way in tried if way is not None), None)
        if longer is None or most_macs is not None and longer.network.macs > most_macs:
            break
        ways.append(longer)
    found: list[FrontierPoint] = []
    for way in ways:
        costs = GroupCosts(way.network, keep_columns=keep_columns, reductions=reductions)
        found += [FrontierPoint(way, p) for p in frontier(costs, most_macs=most_macs)]
    return best_of(found)


def best_of(points: Sequence[FrontierPoint]) -> tuple[FrontierPoint, ...]:
    """Those that no other one beats, the fewest multiply-accumulates first."""
    size = np.array([each.point.live_bytes for each in points], np.int64)
    work = np.array([each.point.macs for each in points], np.int64)
    return tuple(points[index] for index in pareto(size, work, len(points)))


def _chain(network: WindowNetwork, tensor: int, reader: int) -> list[int] | None:
    """The operations that make a tensor from those that operation `reader` still finds there."""
    wanted, found = [tensor], set[int]()
    while wanted:
        producer = network.producers.get(wanted.pop())
        if producer is None or producer in found:
            continue
        operation = network.operations[producer]
        if operation.by_row or operation.state:
            return None
        found.add(producer)
        for operand in operation.operands:
            later = network.readers[operand.tensor][-1] >= reader
            if not later or operand.tensor == tensor:
                wanted.append(operand.tensor)
    return sorted(found)


def _with_copies(operation: Operation, copies: dict[int, int], *, again: bool = False) -> Operation:
    operands = tuple(
        replace(operand, tensor=copies.get(operand.tensor, operand.tensor))
        for operand in operation.operands
    )
    if not again:
        return replace(operation, operands=operands)
    name = f"{operation.name} again"
    return replace(operation, name=name, operands=operands, result=copies[operation.result])
