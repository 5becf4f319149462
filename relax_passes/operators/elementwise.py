"""Elementwise operators of two operands with NumPy broadcasting: shapes, rows and the loop nest.

A subclass states its arithmetic on one pair of elements; the rest is here.  Every operand is read
row by row.  One that is broadcast along the row axes needs the same row again and again; one of a
lower rank, whose rows lie across the output's pixels, needs all rows that those pixels touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from .fixed_point import ACTIVATIONS
from .registry import Operator, OperatorClass, Span
from .signature import Signature, TensorSpec


def broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape two operands are broadcast to, by NumPy's rule; ``ValueError`` if they do not."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b)
    shape = []
    for left, right in pairs:
        if left != right and 1 not in (left, right):
            raise ValueError(f"shapes {a} and {b} cannot be broadcast together")
        shape.append(max(left, right) if 0 not in (left, right) else 0)
    return tuple(shape)


class BinaryOperator(Operator):
    """Base of the operators ``out = f(a, b)`` on broadcast operands of one type."""

    arguments: ClassVar[tuple[str, ...]] = ("a", "b")
    read_by_rows: ClassVar[tuple[int, ...]] = (0, 1)
    memory_class = OperatorClass.ELEMENTWISE
    dtypes: tuple[str, ...] = ("float32", *ACTIVATIONS)

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 2:
            raise ValueError(f"{self.name} takes 2 operands, got {len(inputs)}")
        a, b = inputs
        if a.dtype != b.dtype or a.dtype not in self.dtypes:
            raise ValueError(
                f"{self.name} takes two operands of one type out of {', '.join(self.dtypes)}, "
                f"got {a.dtype} and {b.dtype}"
            )
        try:
            shape = broadcast_shape(a.shape, b.shape)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        spec = TensorSpec(shape, a.dtype)
        indexing.check_rank(self.name, spec)
        return spec

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        output, operand = signature.output, signature.inputs[argument]
        leading = indexing.leading_indices(output, row)
        lengths = indexing.inner_shape(output)
        first, last = (
            indexing.row_number(operand, broadcast_indices(operand, leading + inner))
            for inner in ([0] * len(lengths), [length - 1 for length in lengths])
        )
        return first, last + 1

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        return (0, 1) if signature.inputs[argument].shape[2] == 1 else (column, column + 1)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return in_place_arguments(signature)

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        """The function from two elements to the output element, as TIR expressions."""
        raise NotImplementedError

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        compute = self.arithmetic(signature)
        loops = row_loops(signature)

        @script.row_kernel(signature)
        def binary_row(row, A, a_rows, B, b_rows, O):
            for i, j, k in T.grid(*loops):
                O[output_offset(signature, (i, j, k))] = compute(
                    A[operand_offset(signature, 0, row, (i, j, k), a_rows)],
                    B[operand_offset(signature, 1, row, (i, j, k), b_rows)],
                )

        return binary_row


def broadcast_indices(operand: TensorSpec, indices: Sequence[Any]) -> list[Any]:
    """The element of `operand` that meets the output element at `indices`."""
    own = list(indices)[len(indices) - len(operand.shape) :]
    return [0 if length == 1 else index for index, length in zip(own, operand.shape)]


def in_place_arguments(signature: Signature) -> tuple[int, ...]:
    """Operands whose row an elementwise kernel may overwrite while it reads it.

    Elements are read before the output element of the same index is written, in ascending order,
    so this is safe where the output's pixels start no later than the operand's.
    """
    output = signature.output
    return tuple(
        index
        for index, spec in enumerate(signature.inputs)
        if spec.shape == output.shape
        and spec.itemsize >= output.itemsize
        and spec.pixel_stride * spec.itemsize >= output.pixel_stride * output.itemsize
    )


def row_loops(signature: Signature) -> tuple[int, int, int]:
    """Extents of the three loops over a row; all but the last are 1 where one index suffices."""
    output = signature.output
    return indexing.row_loops((output.row_stride,) if is_flat(signature) else output)


def is_flat(signature: Signature) -> bool:
    """True if one index counts through the row of the output and of every operand."""
    output = signature.output
    return output.dense and all(
        spec.dense and (spec.shape == output.shape or spec.elements == 1)
        for spec in signature.inputs
    )


def output_offset(signature: Signature, loops: Sequence[Any]) -> Any:
    """Offset of the loops' current element from the start of the output row."""
    if is_flat(signature):
        return loops[-1]
    return indexing.offset_in_row(signature.output, loops)


def operand_offset(
    signature: Signature, argument: int, row: Any, loops: Sequence[Any], ring: Any
) -> Any:
    """Offset in the operand's ring of the element that meets the loops' current element."""
    output, operand = signature.output, signature.inputs[argument]
    if operand.elements == 1:
        return 0
    if operand.shape == output.shape:
        inner = loops[-1] if is_flat(signature) else indexing.offset_in_row(operand, loops)
        return indexing.ring_offset(operand, row, inner, ring)
    indices = broadcast_indices(operand, indexing.element_indices(output, row, loops))
    return indexing.element_offset(operand, indices, ring)
