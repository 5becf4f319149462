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

    def row_arguments(self, signature: Signature) -> tuple[int, ...]:
        return 0, 1, 2

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec_c, spec_a, spec_b = signature.inputs
        spec_out = signature.output
        dtype = spec_out.dtype
        loops = row_loops(signature)

        @script.prim_func(private=True, s_tir=True)
        def select_row(
            row: T.int32,
            condition: T.handle("bool"),
            condition_rows: T.int32,
            a: T.handle(dtype),
            a_rows: T.int32,
            b: T.handle(dtype),
            b_rows: T.int32,
            out: T.handle(dtype),
        ):
            C = T.decl_buffer((indexing.buffer_elements(spec_c),), "bool", data=condition)
            A = T.decl_buffer((indexing.buffer_elements(spec_a),), dtype, data=a)
            B = T.decl_buffer((indexing.buffer_elements(spec_b),), dtype, data=b)
            O = T.decl_buffer((spec_out.row_stride,), dtype, data=out)
            for i, j, k in T.grid(*loops):
                O[output_offset(signature, (i, j, k))] = T.Select(
                    C[operand_offset(signature, 0, row, (i, j, k), condition_rows)],
                    A[operand_offset(signature, 1, row, (i, j, k), a_rows)],
                    B[operand_offset(signature, 2, row, (i, j, k), b_rows)],
                )

        return select_row
