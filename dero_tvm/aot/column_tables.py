"""Tables in flash of groups in windows of columns: where windows and passes begin.

columns      window by window, first and end column of what each operation makes; then of each
             result that keeps columns the first one in its strip, how many have stayed, and how
             many columns behind the beginning of the strip they lay before
first_rows   the first row of each operation but the last, pass by pass
"""

from __future__ import annotations

import numpy as np

from dero_tvm.schedule.network import Network, Operation
from dero_tvm.schedule.operation import ColumnGroup

_MOST = 1 << 16
_KEPT = 3  # entries of a window for each result that keeps columns


def columns_name(op: Operation) -> str:
    """The constant with the columns of a group's windows."""
    return f"columns_{op.name}"


def first_rows_name(op: Operation) -> str:
    """The constant with the rows that a group's passes begin with."""
    return f"first_rows_{op.name}"


def entries_of(group: ColumnGroup) -> int:
    """How many entries a window has."""
    return 2 * len(group.operations) + _KEPT * len(group.keeping)


def kept_entry(group: ColumnGroup, number: int) -> int:
    """The first of the entries of operation `number`, whose result keeps columns."""
    return 2 * len(group.operations) + _KEPT * group.keeping.index(number)


def window_tables(network: Network) -> dict[str, np.ndarray]:
    """The tables of all groups."""
    found = {}
    for op in network.operations:
        if op.group is not None:
            found[columns_name(op)] = _table(_columns(op.group))
            if len(op.group.operations) > 1:
                first = [rows[:-1] for rows in op.group.schedule.first]
                found[first_rows_name(op)] = _table(first)
    return found


def _columns(group: ColumnGroup) -> list[list[int]]:
    spans = group.spans
    found = []
    before = spans.held[0]
    for made, held in zip(spans.made, spans.held, strict=True):
        entries = [column for span in made for column in span]
        for number in group.keeping:
            stayed = made[number][0] - held[number][0]
            moved = held[number][0] - before[number][0] if stayed else 0
            entries += (held[number][0], stayed, moved)
        found.append(entries)
        before = held
    return found


def _table(entries: object) -> np.ndarray:
    table = np.array(entries, np.uint32).ravel()
    return table.astype(np.uint16) if table.size == 0 or table.max() < _MOST else table
