"""Tables that say where the rows of a tensor lie, and kernels that look them up.

A row kernel finds row i of an operand at ``base + i % height * row bytes``: a ring.  Where each row
has an address of its own, it takes a table in place of the height:

    base + table[1 + i % table[0]] * unit

The first entry is the period after which the addresses repeat.  `tabled` makes the one form of a
portable kernel from the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tvm_ffi
from tvm import tirx
from tvm.tirx.script import builder as T

ENTRY = "uint16"
_MOST = 1 << 16


@dataclass(frozen=True)
class TabledRows:
    """How a kernel reads an operand by a table: bytes of one unit, elements of one row."""

    unit: int
    row_stride: int
    itemsize: int


def row_table(places: Sequence[int | None], unit: int) -> np.ndarray:
    """The table of rows that lie at `places`, bytes from the base; None stands for any place."""
    period = _period(places)
    entries = [0] * period
    for row, place in enumerate(places):
        if place is not None:
            entries[row % period] = place // unit
    return np.array([period, *entries], np.uint16)


def ring_of(places: Sequence[int | None], row_bytes: int) -> tuple[int, int] | None:
    """The base and height of the ring, or whole tensor, in which rows lie; None if in none."""
    known = [(row, place) for row, place in enumerate(places) if place is not None]
    if not known:
        return 0, 1
    first, start = known[0]
    height = next((row - first for row, place in known[1:] if place == start), len(places))
    base = start - first % height * row_bytes
    if base >= 0 and all(place == base + row % height * row_bytes for row, place in known):
        return base, height
    return None


def _period(places: Sequence[int | None]) -> int:
    """The least number of rows after which all places repeat."""
    for period in range(1, len(places)):
        entries: list[int | None] = [None] * period
        for row, place in enumerate(places):
            if place is None:
                continue
            if entries[row % period] is None:
                entries[row % period] = place
            elif entries[row % period] != place:
                break
        else:
            return period
    return max(len(places), 1)


class NoTable(Exception):
    """A kernel that cannot look rows up."""


def read_by_rows(function: tirx.PrimFunc, strides: Mapping[int, int]) -> frozenset[int]:
    """Which of the heights that are parameters of a kernel do nothing but find rows.

    `strides` has the parameters with the elements of a row of each.
    """
    heights = {function.params[index]: index for index in strides}
    uses: Counter[int] = Counter()
    found: Counter[int] = Counter()

    def variable(node: tirx.Var) -> None:
        if node in heights:
            uses[heights[node]] += 1

    def product(node: tirx.Mul) -> None:
        row, stride = node.a, node.b
        if isinstance(row, tirx.Mod) and isinstance(stride, tirx.IntImm):
            index = heights.get(row.b) if isinstance(row.b, tirx.Var) else None
            if index is not None and int(stride) == strides[index] != 1:
                found[index] += 1

    def remainder(node: tirx.Mod) -> None:
        index = heights.get(node.b) if isinstance(node.b, tirx.Var) else None
        if index is not None and strides[index] == 1:
            found[index] += 1

    rules = [(tirx.Mul, product), (tirx.Mod, remainder), (tirx.Var, variable)]
    tvm_ffi.structural_walk(function.body, rules)
    return frozenset(index for index in strides if 0 < found[index] == uses[index])


def tabled(function: tirx.PrimFunc, operands: Mapping[int, TabledRows]) -> tirx.PrimFunc:
    """`function` with a table in place of the heights that are its parameters `operands`.

    Raises `NoTable` if a height has another use than to find a row.
    """
    params, declarations, body = list(function.params), [], function.body
    for index, rows in operands.items():
        height = params[index]
        handle = tirx.Var(height.name, T.handle(ENTRY).ty)
        table = tirx.decl_buffer((_MOST,), ENTRY, f"{height.name}_table", data=handle)
        declarations.append(tirx.DeclBuffer(table, data=handle))
        body = _looked_up(body, height, table, rows)
        params[index] = handle
    body = tirx.SeqStmt([*declarations, body])
    return tirx.PrimFunc(params, body, function.ret_type, function.attrs)


def _looked_up(
    body: tirx.Stmt, height: tirx.Var, table: tirx.Buffer, rows: TabledRows
) -> tirx.Stmt:
    found = 0

    def place(row: tirx.Expr) -> tirx.Expr:
        nonlocal found
        found += 1
        period = tirx.Cast("int32", table[0])
        entry = tirx.Cast("int32", table[tirx.truncmod(row, period) + 1])
        return entry * (rows.unit // rows.itemsize) if rows.unit > rows.itemsize else entry

    def product(node: tirx.Mul) -> tirx.Expr:
        row, stride = node.a, node.b
        is_row = isinstance(row, tirx.Mod) and row.b.same_as(height)
        if is_row and isinstance(stride, tirx.IntImm) and int(stride) == rows.row_stride:
            return place(row.a)
        return node

    def remainder(node: tirx.Mod) -> tirx.Expr:
        if rows.row_stride == 1 and node.b.same_as(height):
            return place(node.a)
        return node

    rules = [(tirx.Mul, product), (tirx.Mod, remainder)]
    body = tvm_ffi.structural_map(body, rules)
    if not found or _uses(body, height):
        raise NoTable(height.name)
    return body


def _uses(body: tirx.Stmt, variable: tirx.Var) -> bool:
    def visit(node: tirx.Var) -> tvm_ffi.VisitInterrupt | None:
        return tvm_ffi.VisitInterrupt() if node.same_as(variable) else None

    return tvm_ffi.structural_walk(body, [(tirx.Var, visit)]) is not None
