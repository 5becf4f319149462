"""How stages ask each other for rows: how many, and in whose functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from relax_passes.streaming.row_schedule import Demand

from .stages import RowsNeeded

_DEEPEST = 32  # loops in one another


def with_functions(demands: Sequence[Demand], incomplete: Sequence[int] = ()) -> set[int]:
    """The stages whose rows a function makes.

    Those that are asked for at several places; and of stages that ask one for the other's rows,
    which are loops in loops, one in every `_DEEPEST`: compilers have limits, and so have readers.
    """
    askers = Counter(demand.producer for demand in demands)
    askers.update(incomplete)
    found = {producer for producer, count in askers.items() if count > 1}
    depth: Counter[int] = Counter()
    # Whoever asks for a stage's rows stands behind it.
    for demand in sorted(demands, key=lambda demand: demand.reader, reverse=True):
        if demand.producer not in found:
            depth[demand.producer] = depth[demand.reader] + 1
            if depth[demand.producer] == _DEEPEST:
                depth[demand.producer] = 0
                found.add(demand.producer)
    return found


def rows_needed(last: Sequence[int], limit: int) -> RowsNeeded:
    """A line through the numbers of rows that are there before each row, if there is one."""
    offset = int(last[0])
    for stride in sorted({int(s) for s in np.diff(last)}, reverse=True) or [0]:
        line = np.arange(len(last)) * stride + offset
        if np.array_equal(line, last):
            return RowsNeeded(stride, offset)
        if np.array_equal(np.minimum(limit, line), last):
            return RowsNeeded(stride, offset, limit)
    return RowsNeeded(table=tuple(last))
