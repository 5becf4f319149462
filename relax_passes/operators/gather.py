"""Operators whose every output element is a copy of one input element, or a constant.

A subclass says from which indices of the input an output element comes; this one formula, applied
to Python integers, gives the rows an output row needs, and applied to TIR expressions, the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from .fixed_point import ACTIVATIONS
from .operand_checks import single_operand
from .registry import Operator, OperatorClass, Span
from .signature import Signature, TensorSpec

TYPES = ("float32", *ACTIVATIONS, "int32", "int64", "bool")
"""What elements may be that are moved: also indices and truth values."""


class GatherOperator(Operator):
    """Base of the operators that move elements and compute nothing."""

    arguments = ("data",)
    memory_class = OperatorClass.LAYOUT

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        """Where output element `indices` comes from: integers give integers, expressions likewise.

        Along every axis the result grows with each output index, or depends on none.
        """
        raise NotImplementedError

    def outside(self, signature: Signature) -> tuple[tuple[bool, bool], ...]:
        """For every input axis, whether `source` may lie before its first, or past its last index.

        Such output elements have the constant value `fill`.
        """
        return ((False, False),) * len(signature.inputs[0].shape)

    def fill(self, signature: Signature) -> Any:
        """The value of output elements that come from outside of the input."""
        return 0

    def check_input(self, inputs: tuple[TensorSpec, ...]) -> TensorSpec:
        """The single operand; ``ValueError`` if kernels cannot handle it."""
        data = single_operand(self.name, inputs, TYPES)
        indexing.check_rank(self.name, data)
        return data

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        data, output = signature.inputs[0], signature.output
        leading = indexing.leading_shape(data)
        last_loops = [length - 1 for length in indexing.row_loops(output)]
        first, last = (
            self.source(signature, indexing.element_indices(output, row, loops))[: len(leading)]
            for loops in ([0] * len(last_loops), last_loops)
        )
        for axis, length in enumerate(leading):
            if last[axis] < 0 or first[axis] >= length:
                # Nothing but fill: empty, where reading stopped or will start.
                edge = [*first[:axis], 0 if last[axis] < 0 else length]
                position = indexing.row_position(edge, leading)
                return position, position
        clipped_first = [max(index, 0) for index in first]
        clipped_last = [min(index, length - 1) for index, length in zip(last, leading)]
        return (
            indexing.row_number(data, clipped_first),
            indexing.row_number(data, clipped_last) + 1,
        )

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        data, output = signature.inputs[0], signature.output
        batch, height, _, channels = output.shape
        first, last = (
            self.source(signature, indices)[2]
            for indices in ([0, 0, column, 0], [batch - 1, height - 1, column, channels - 1])
        )
        width = data.shape[2]
        if last < 0 or first >= width:
            edge = 0 if last < 0 else width
            return edge, edge
        return max(first, 0), min(last, width - 1) + 1

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, spec_out = signature.inputs[0], signature.output
        dtype = spec.dtype
        loops = indexing.row_loops(spec_out)

        def element(X: Any, row: Any, variables: Sequence[Any], ring: Any) -> Any:
            indices = indexing.element_indices(spec_out, row, variables)
            source = self.source(signature, indices)
            inside = [
                condition
                for index, length, (before, past) in zip(
                    source, spec.shape, self.outside(signature)
                )
                for condition in ([index >= 0] if before else [])
                + ([index < length] if past else [])
            ]
            value = X[indexing.element_offset(spec, source, ring)]
            if not inside:
                return value
            fill = tirx.const(self.fill(signature), dtype)
            return T.if_then_else(tirx.all(*inside), value, fill)

        @script.row_kernel(signature)
        def gather_row(row, X, data_rows, O):
            for i, j, k in T.grid(*loops):
                O[indexing.offset_in_row(spec_out, (i, j, k))] = element(
                    X, row, (i, j, k), data_rows
                )

        return gather_row
