"""Tables in flash of groups in windows of columns: where windows and passes begin.

columns      first and end column of each operation, window by window
first_rows   the first row of each operation but the last, pass by pass
"""

from __future__ import annotations

import numpy as np

from dero_tvm.schedule.network import Network, Operation

_MOST = 1 << 16


def columns_name(op: Operation) -> str:
    """The constant with the columns of a group's windows."""
    return f"columns_{op.name}"


def first_rows_name(op: Operation) -> str:
    """The constant with the rows that a group's passes begin with."""
    return f"first_rows_{op.name}"


def window_tables(network: Network) -> dict[str, np.ndarray]:
    """The tables of all groups."""
    found = {}
    for op in (op for cascade in network.cascades for op in cascade.operations):
        if op.group is not None:
            found[columns_name(op)] = _table(op.group.columns)
            if len(op.group.operations) > 1:
                first = [rows[:-1] for rows in op.group.schedule.first]
                found[first_rows_name(op)] = _table(first)
    return found


def _table(entries: object) -> np.ndarray:
    table = np.array(entries, np.uint32).ravel()
    return table.astype(np.uint16) if table.size == 0 or table.max() < _MOST else table
