"""From an element's indices to its place in a buffer, as TIR expressions.

A tensor's axes fall into **leading** axes, which together number the rows, and **inner** axes
(pixels, then channels), which a row kernel loops over.  Rank 3 and more have two leading axes,
rank 2 has one; a vector or a scalar is a single row and has none.

Indices are TIR expressions or Python integers; an axis of length 1 contributes nothing, so what
is printed stays as short as the shapes allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.script import tirx as T

from .signature import TensorSpec


def leading_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Lengths of the axes that number the rows."""
    return spec.shape[: spec.row_axis + 1] if len(spec.shape) > 1 else ()


def inner_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Lengths of the axes inside a row: pixel axes, then channels (``(1,)`` for a scalar)."""
    return spec.shape[len(leading_shape(spec)) :] or (1,)


def leading_indices(spec: TensorSpec, row: Any) -> list[Any]:
    """The indices along the leading axes of row `row` (a Python integer or an expression)."""
    lengths = leading_shape(spec)
    if len(lengths) < 2:
        return [row] * len(lengths)
    batch, height = lengths
    if batch == 1:
        return [0, row]
    if height == 1:
        return [row, 0]
    if isinstance(row, int):
        return list(divmod(row, height))
    return [T.truncdiv(row, height), T.truncmod(row, height)]


def element_indices(spec: TensorSpec, row: Any, inner: Any) -> list[Any]:
    """All indices of an element, given its row and the variables of the loops inside the row.

    `inner` is what ``T.grid(*inner_shape(spec))`` binds: one variable or a sequence of them.
    """
    if not spec.shape:
        return []
    variables = list(inner) if isinstance(inner, (list, tuple)) else [inner]
    return leading_indices(spec, row) + variables


def linear(indices: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Row-major position of `indices` in an array of shape `lengths`."""
    position: Any = 0
    for index, length in zip(indices, lengths):
        if length == 1:
            continue
        position = index if _is_zero(position) else position * length + index
    return position


def row_number(spec: TensorSpec, indices: Sequence[Any]) -> Any:
    """The row that holds the element at `indices`."""
    return linear(indices, leading_shape(spec))


def offset_in_row(spec: TensorSpec, indices: Sequence[Any]) -> Any:
    """Distance in elements of the element at `indices` from the start of its row."""
    if not spec.shape:
        return 0
    lengths = inner_shape(spec)
    inner = list(indices)[len(spec.shape) - len(lengths) :]
    if spec.dense:
        return linear(inner, lengths)
    pixel = linear(inner[:-1], lengths[:-1])
    channel = linear(inner[-1:], lengths[-1:])
    return channel if _is_zero(pixel) else pixel * spec.pixel_stride + channel


def ring_offset(spec: TensorSpec, indices: Sequence[Any], ring: Any) -> Any:
    """Offset in elements of the element at `indices` in a ring of `ring` rows."""
    row = row_number(spec, indices)
    offset = offset_in_row(spec, indices)
    return offset if _is_zero(row) else T.truncmod(row, ring) * spec.row_stride + offset


def buffer_elements(spec: TensorSpec) -> int:
    """Length of the flat buffer that holds all rows of `spec`, gaps between pixels included."""
    return spec.rows * spec.row_stride


def _is_zero(value: Any) -> bool:
    return isinstance(value, int) and value == 0
