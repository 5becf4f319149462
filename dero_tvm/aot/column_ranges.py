"""Portable kernels that make a range of columns of a row, and read strips.

A row kernel makes all columns of its row from whole rows.  `column_ranges` makes of it one that is
told ``column_begin`` and ``column_end``, and whose operands may be **strips**: rows of `pitch`
elements that begin with a column ``<operand>_first`` of the image.

    for ow in range(W):                            for ow in range(column_begin, column_end):
      out[ow * C + c] = ... data[(r % rows) * S        out[(ow - column_begin) * C + c] = ...
                                 + iw * C + c]           data[(r % rows) * pitch - data_first * C
                                                              + iw * C + c]

Columns keep their numbers in the image, and with them what is padding and what is not: neither the
arithmetic nor the conditions around it change.  The row goes to where its first column belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad

from relax_passes.operators import TensorSpec

FIRST, END = "column_begin", "column_end"


@dataclass(frozen=True)
class Strip:
    """How a kernel finds rows of a strip: elements from row to row, in the strip and in `whole`."""

    pitch: int
    whole: TensorSpec


class NoColumns(Exception):
    """A kernel that cannot make a part of its row."""


def first_of(operand: str) -> str:
    """The parameter that says with which column of the image the strips of an operand begin."""
    return f"{operand}_first"


def column_ranges(
    function: tirx.PrimFunc, output: TensorSpec, strips: Mapping[int, Strip]
) -> tirx.PrimFunc:
    """`function`, whose row is one of `output`, for a range of columns.

    `strips` are the operands that come as such, by the parameter that has the height of their
    rings.  Parameters are added at the end: the first column of each strip, then the range.

    Raises `NoColumns` if the kernel does not go over its row column by column.
    """
    first, end = tirx.Var(FIRST, "int32"), tirx.Var(END, "int32")
    (out,) = [param for param in function.params if param.name == "out"]
    body, begins = function.body, []
    for index, strip in strips.items():
        data, height = function.params[index - 1], function.params[index]
        begin = tirx.Var(first_of(data.name), "int32")
        shift = begin * strip.whole.pixel_stride
        if strip.whole.rows > 1:
            body = _in_strips(body, height, strip, shift)
        else:
            body = _moved(body, data, shift)
        begins.append(begin)
    body = _moved(body, out, first * output.pixel_stride)
    body = _Loops(first, end, output).over_columns(body)
    params = [*function.params, *begins, first, end]
    return tirx.PrimFunc(params, body, function.ret_type, function.attrs)


def _in_strips(body: tirx.Stmt, height: tirx.Var, strip: Strip, shift: tirx.Expr) -> tirx.Stmt:
    """`body` with the rows of an operand, which it finds by `height`, in a strip."""
    found = 0
    stride = strip.whole.row_stride

    def place(row: tirx.Mod) -> tirx.Expr:
        nonlocal found
        found += 1
        return (row if strip.pitch == 1 else row * strip.pitch) - shift

    def product(node: tirx.Mul) -> tirx.Expr:
        row, factor = node.a, node.b
        is_row = isinstance(row, tirx.Mod) and row.b.same_as(height)
        if stride != 1 and is_row and isinstance(factor, tirx.IntImm) and int(factor) == stride:
            return place(row)
        return node

    def remainder(node: tirx.Mod) -> tirx.Expr:
        return place(node) if stride == 1 and node.b.same_as(height) else node

    body = tvm_ffi.structural_map(body, [(tirx.Mul, product), (tirx.Mod, remainder)])
    if not found:
        raise NoColumns(height.name)
    return body


def _moved(body: tirx.Stmt, pointer: tirx.Var, shift: tirx.Expr) -> tirx.Stmt:
    """`body` with what it has behind `pointer` so many elements farther in front."""
    buffers = []

    def declared(node: tirx.DeclBuffer) -> None:
        if node.data.same_as(pointer):
            buffers.append(node.buffer)

    tvm_ffi.structural_walk(body, [(tirx.DeclBuffer, declared)])

    def is_moved(buffer: tirx.Var) -> bool:
        return any(buffer.same_as(known) for known in buffers)

    def store(node: tirx.BufferStore) -> tirx.Stmt:
        if not is_moved(node.buffer):
            return node
        return tirx.BufferStore(node.buffer, node.value, [node.indices[0] - shift])

    def load(node: TensorLoad) -> tirx.Expr:
        return node.source[node.indices[0] - shift] if is_moved(node.source) else node

    return tvm_ffi.structural_map(body, [(tirx.BufferStore, store), (TensorLoad, load)])


class _Loops:
    """The loops over a row's columns: the outermost that do anything again."""

    def __init__(self, first: tirx.Var, end: tirx.Var, output: TensorSpec) -> None:
        self.first, self.end = first, end
        self.pixels, self.channels = output.pixels, output.channels

    def over_columns(self, statement: tirx.Stmt) -> tirx.Stmt:
        found = self._rewritten(statement)
        if found is None:
            raise NoColumns("no loop over columns")
        return found

    def _rewritten(self, statement: tirx.Stmt) -> tirx.Stmt | None:
        """None if nothing in it goes over columns."""
        if isinstance(statement, tirx.SeqStmt):
            parts = [(part, self._rewritten(part)) for part in statement.seq]
            if all(new is None for _, new in parts):
                return None
            return tirx.SeqStmt([old if new is None else new for old, new in parts])
        if not isinstance(statement, tirx.For):
            return None
        extent = int(statement.extent)
        if extent == self.pixels:
            return self._ranged(statement, 1)
        if extent == 1:
            body = self._rewritten(statement.body)
            return None if body is None else _with(statement, body=body)
        if extent == self.pixels * self.channels:  # by elements
            return self._ranged(statement, self.channels)
        raise NoColumns(f"a loop of {extent} over {self.pixels} columns")

    def _ranged(self, loop: tirx.For, step: int) -> tirx.Stmt:
        first, count = self.first, self.end - self.first
        if step > 1:
            first, count = first * step, count * step
        return _with(loop, min=first, extent=count)


def _with(loop: tirx.For, **changes: object) -> tirx.For:
    fields = {"min": loop.min, "extent": loop.extent, "body": loop.body} | changes
    return tirx.For(
        loop.loop_var,
        fields["min"],
        fields["extent"],
        loop.kind,
        fields["body"],
        loop.thread_binding,
        loop.annotations,
    )
