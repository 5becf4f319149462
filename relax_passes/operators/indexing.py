"""From an element's indices to its place in a buffer, as TIR expressions.

A tensor's axes fall into **leading** axes, which together number the rows, and **inner** axes
(pixels, then channels), which a row kernel loops over.  Rank 3 and more have two leading axes,
rank 2 has one; a vector or a scalar is a single row and has none.

Row kernels loop over a row with three nested loops, enough for rank 5; loops that a tensor does
not need come first and have an extent of 1, which lowering removes.

Indices are TIR expressions or Python integers; an axis of length 1 contributes nothing, so what
is printed stays as short as the shapes allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.script import tirx as T

from .signature import TensorSpec

MAXIMUM_RANK = 5
_LOOPS = 3


def check_rank(operator: str, spec: TensorSpec) -> None:
    """Raises ``ValueError`` if a tensor has more axes than the kernels' loops can walk."""
    if len(spec.shape) > MAXIMUM_RANK:
        raise ValueError(
            f"{operator} takes tensors of at most {MAXIMUM_RANK} axes, got shape {spec.shape}"
        )


def leading_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Lengths of the axes that number the rows."""
    return spec.shape[: spec.row_axis + 1] if len(spec.shape) > 1 else ()


def inner_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Lengths of the axes inside a row: pixel axes, then channels (``(1,)`` for a scalar)."""
    return spec.shape[len(leading_shape(spec)) :] or (1,)


def row_loops(inner: TensorSpec | tuple[int, ...]) -> tuple[int, int, int]:
    """Extents of the three loops over a row of a tensor, or over an array of this shape."""
    lengths = inner_shape(inner) if isinstance(inner, TensorSpec) else inner
    first, second, third = (1,) * (_LOOPS - len(lengths)) + lengths
    return first, second, third


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


def element_indices(spec: TensorSpec, row: Any, loops: Sequence[Any]) -> list[Any]:
    """All indices of an element, given its row and the variables of the loops over the row."""
    leading = leading_indices(spec, row)
    inner = len(spec.shape) - len(leading)
    return leading + list(loops)[len(loops) - inner :]


def linear(indices: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Row-major position of `indices` in an array of shape `lengths`."""
    position: Any = 0
    for index, length in zip(indices, lengths):
        if length == 1:
            continue
        position = index if is_zero(position) else position * length + index
    return position


def row_number(spec: TensorSpec, indices: Sequence[Any]) -> Any:
    """The row that holds the element at `indices`."""
    return linear(indices, leading_shape(spec))


def row_position(indices: Sequence[int], lengths: Sequence[int]) -> int:
    """Rows before the one at integer `indices` along the leading axes (missing ones: 0).

    An index may equal its axis' length: the position is then that of the next row after the axis.
    """
    position = 0
    for axis, length in enumerate(lengths):
        position = position * length + (indices[axis] if axis < len(indices) else 0)
    return position


def offset_in_row(spec: TensorSpec, indices: Sequence[Any]) -> Any:
    """Elements between the start of a row and an element of it; only the last indices count."""
    if not spec.shape:
        return 0
    lengths = inner_shape(spec)
    inner = list(indices)[len(indices) - len(lengths) :]
    if spec.dense:
        return linear(inner, lengths)
    pixel = linear(inner[:-1], lengths[:-1])
    channel = linear(inner[-1:], lengths[-1:])
    return channel if is_zero(pixel) else pixel * spec.pixel_stride + channel


def ring_offset(spec: TensorSpec, row: Any, offset: Any, ring: Any) -> Any:
    """Elements between the start of a ring of `ring` rows and `offset` in row `row`."""
    if spec.rows == 1 or is_zero(row):
        return offset
    return T.truncmod(row, ring) * spec.row_stride + offset


def element_offset(spec: TensorSpec, indices: Sequence[Any], ring: Any) -> Any:
    """Elements between the start of a ring of `ring` rows and the element at `indices`."""
    return ring_offset(spec, row_number(spec, indices), offset_in_row(spec, indices), ring)


def buffer_elements(spec: TensorSpec) -> int:
    """Length of the flat buffer that holds all rows of `spec`, gaps between pixels included."""
    return spec.rows * spec.row_stride


def is_zero(value: Any) -> bool:
    """True for the Python integer 0, which stands for an index that need not be written."""
    return isinstance(value, int) and value == 0
