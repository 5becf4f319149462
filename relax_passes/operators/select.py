"""One of two elements, by a truth value."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from .elementwise import BinaryOperator, broadcast_shape, operand_offset, output_offset, row_loops
from .fixed_point import ACTIVATIONS
from .integer_binary import TYPES as WHOLE_NUMBERS
from .registry import register
from .signature import Signature, TensorSpec


@register
class Select(BinaryOperator):
    """The element of `a` where `condition` holds, that of `b` elsewhere; all three are broadcast.

    int8 operands and the result have one scale and zero point.
    """

    name = "select"
    dtypes = ("float32", *ACTIVATIONS, *WHOLE_NUMBERS)
    arguments = ("condition", "a", "b")
    read_by_rows = (0, 1, 2)

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 3 or inputs[0].dtype != "bool":
            raise ValueError(f"select takes truth values and two tensors, got {inputs}")
        spec = super().infer(inputs[1:], attrs)
        try:
            shape = broadcast_shape(inputs[0].shape, spec.shape)
        except ValueError as error:
            raise ValueError(f"select: {error}") from None
        result = TensorSpec(shape, spec.dtype)
        indexing.check_rank(self.name, result)
        return result

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        loops = row_loops(signature)

        @script.row_kernel(signature)
        def select_row(row, C, condition_rows, A, a_rows, B, b_rows, O):
            for i, j, k in T.grid(*loops):
                O[output_offset(signature, (i, j, k))] = T.Select(
                    C[operand_offset(signature, 0, row, (i, j, k), condition_rows)],
                    A[operand_offset(signature, 1, row, (i, j, k), a_rows)],
                    B[operand_offset(signature, 2, row, (i, j, k), b_rows)],
                )

        return select_row
