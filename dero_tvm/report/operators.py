"""The operators of a network and the tensors between them, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ReportedOperator:
    """An operator, or an input, in order of execution; named as the tensor that it makes."""

    name: str
    operator: str  # "conv2d", ...; "input"
    output: str  # shape and type
    step: int  # that runs it; -1: an input
    operands: tuple[str, ...]  # names of the operators that make them
    macs: int = 0
    memory_class: str = ""  # what it needs of memory, as ClassifyOperators found it
    action: str = ""  # what a pass recorded of an operator that is neither join nor shortcut
    reason: str = ""
    decided_by: str = ""  # the pass
    layers: tuple[str, ...] = ()  # of the model file, that it was made from
    rows: int = 0  # of the tensor that it makes
    bytes: int = 0  # of this tensor as a whole
    weights: int = 0  # bytes in flash; what several operators read counts for the first
    tables: int = 0  # bytes in flash of what says where the rows lie that it reads and makes
    flash_reads: int = 0  # bytes read from flash in an inference, at least: with every call once
    runs: bool = True  # False: an input, or a concatenation whose parts are written in place


@dataclass(frozen=True)
class Edge:
    """A tensor from operator number `source` to operator number `target`."""

    source: int
    target: int
    join: str = ""  # the residual join whose shortcut it is part of


def edges(
    operators: Iterable[ReportedOperator], shortcuts: Iterable[tuple[str, tuple[str, ...]]]
) -> list[Edge]:
    """All edges by target; `shortcuts` are joins with the operators from fork to join."""
    numbers: dict[str, int] = {}
    part_of = {pair: join for join, path in shortcuts for pair in zip(path, path[1:])}
    found = []
    for number, operator in enumerate(operators):
        for operand in dict.fromkeys(operator.operands):
            if operand in numbers:
                join = part_of.get((operand, operator.name), "")
                found.append(Edge(numbers[operand], number, join))
        numbers[operator.name] = number
    return found
