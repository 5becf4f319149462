"""The transpose of a matrix in the place of the matrix."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .gather import TYPES
from .operand_checks import single_operand
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@register
class TransposeInPlace(Operator):
    """The matrix of `columns` columns in `data` [1, n], transposed: [1, n] again.

    All is one row, which may be written over itself.  Every element goes where it belongs, and the
    one that stood there goes on, until the first place is reached again; a bit for each element
    says which are done.
    """

    name = "transpose_in_place"
    memory_class = OperatorClass.LAYOUT
    arguments = ("data",)
    defaults = {"columns": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = single_operand(self.name, inputs, TYPES)
        if len(data.shape) != 2 or data.shape[0] != 1:
            raise ValueError(f"transpose_in_place takes a tensor [1, n], got {data.described}")
        if attrs["columns"] < 1 or data.elements % attrs["columns"]:
            raise ValueError(
                f"transpose_in_place: {data.elements} elements have not {attrs['columns']} columns"
            )
        return TensorSpec(data.shape, data.dtype)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return (0,) if signature.inputs[0].dense and signature.output.dense else ()

    def scratch_bytes(self, signature: Signature) -> int:
        return -(-signature.output.elements // 8)

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        dtype, n = signature.output.dtype, signature.output.elements
        columns = signature["columns"]
        rows, flags = n // columns, self.scratch_bytes(signature)

        def goes_to(place: Any) -> Any:
            return T.truncmod(place, columns) * rows + T.truncdiv(place, columns)

        def bit(place: Any) -> Any:
            return T.shift_left(tirx.const(1, "int32"), T.bitwise_and(place, 7))

        def waits(flag: Any, place: Any) -> Any:
            return tirx.EQ(T.bitwise_and(T.cast(flag, "int32"), bit(place)), 0)

        def done(flag: Any, place: Any) -> Any:
            return T.cast(T.bitwise_or(T.cast(flag, "int32"), bit(place)), "int8")

        @script.row_kernel(signature)
        def transpose_in_place_row(row, X, data_rows, O, S):
            place = T.alloc_buffer((1,), "int32")
            moved = T.alloc_buffer((1,), dtype)
            met = T.alloc_buffer((1,), dtype)
            for i in range(n):
                O[i] = X[i]
            for i in range(flags):
                S[i] = T.int8(0)
            for first in range(n):
                place[0] = goes_to(first)
                moved[0] = O[first]
                while waits(S[T.truncdiv(place[0], 8)], place[0]):
                    S[T.truncdiv(place[0], 8)] = done(S[T.truncdiv(place[0], 8)], place[0])
                    met[0] = O[place[0]]
                    O[place[0]] = moved[0]
                    moved[0] = met[0]
                    place[0] = goes_to(place[0])

        return transpose_in_place_row
