"""Which cascades run one after the other, and which into each other.

Where the rows of a cascade are made as the rows behind them ask for them, loops make them.  Any
other order is a list of calls; cascades that run into each other have one in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .problem import Call, RowProblem


@dataclass(frozen=True)
class Run:
    """Cascades ``[first, end)`` in order of execution, and the list of their calls.

    Without `calls` it is one cascade, whose rows are made on demand.
    """

    first: int
    end: int
    calls: tuple[Call, ...] = ()


def runs_of(written: RowProblem, ordered: RowProblem) -> tuple[Run, ...]:
    """The runs of `ordered`, which has the calls of the demand-driven `written`."""
    on_demand = _by_cascade(written.calls)
    runs = []
    for first, end, calls in _apart(ordered.calls, len(on_demand)):
        listed = end - first > 1 or list(calls) != on_demand[first]
        runs.append(Run(first, end, tuple(calls) if listed else ()))
    return tuple(runs)


def _by_cascade(calls: Sequence[Call]) -> list[list[Call]]:
    found: list[list[Call]] = [[] for _ in range(max((c.step for c in calls), default=-1) + 1)]
    for call in calls:
        found[call.step].append(call)
    return found


def _apart(calls: Sequence[Call], cascades: int) -> Iterator[tuple[int, int, Sequence[Call]]]:
    """The least groups of cascades of which one ends before the next begins, with their calls."""
    last = [0] * cascades
    for time, call in enumerate(calls):
        last[call.step] = time
    first = start = 0
    until = -1
    for cascade in range(cascades):
        until = max(until, last[cascade])
        group = calls[start : until + 1]
        if all(first <= call.step <= cascade for call in group):
            yield first, cascade + 1, group
            first, start = cascade + 1, until + 1
