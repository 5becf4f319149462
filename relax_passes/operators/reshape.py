"""Change of shape without change of the elements' order."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from .operand_checks import single_operand
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec

_TYPES = ("float32", "int8", "int16", "int32", "int64", "bool")


@register
class Reshape(Operator):
    """The elements of `data` in row-major order under another `shape`.

    Memory planning gives both tensors the same buffer; the kernel, which copies, serves the cases
    where it cannot, and whole modules on the host.
    """

    name = "reshape"
    memory_class = OperatorClass.LAYOUT
    arguments = ("data",)
    defaults = {"shape": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data, shape = single_operand(self.name, inputs, _TYPES), attrs["shape"]
        if any(length < 0 for length in shape) or prod(shape) != data.elements:
            raise ValueError(f"reshape: {data.shape} cannot become {shape}")
        return TensorSpec(shape, data.dtype)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        made = _row_elements(signature.output)
        read = _row_elements(signature.inputs[0])
        return row * made // read, -(-(row + 1) * made // read)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        """Where rows are equally long, a row may be copied onto itself."""
        data, output = signature.inputs[0], signature.output
        equal = _row_elements(data) == _row_elements(output) and data.dense and output.dense
        return (0,) if equal else ()

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, spec_out = signature.inputs[0], signature.output
        made, read = _row_elements(spec_out), _row_elements(spec)

        def source(row: Any, i: Any, ring: Any) -> Any:
            if made == read:
                return indexing.ring_offset(spec, row, _strided(spec, i), ring)
            position = row * made + i if spec_out.rows > 1 else i
            if spec.rows == 1:
                return _strided(spec, position)
            offset = _strided(spec, T.truncmod(position, read))
            return indexing.ring_offset(spec, T.truncdiv(position, read), offset, ring)

        @script.row_kernel(signature)
        def reshape_row(row, X, data_rows, O):
            for i in range(made):
                O[_strided(spec_out, i)] = X[source(row, i, data_rows)]

        return reshape_row


def _row_elements(spec: TensorSpec) -> int:
    """Elements of a row, gaps not counted."""
    return spec.pixels * spec.channels


def _strided(spec: TensorSpec, position: Any) -> Any:
    """Offset in a row, gaps counted, of the element at `position` (gaps not counted)."""
    if spec.dense:
        return position
    pixel = T.truncdiv(position, spec.channels)
    return pixel * spec.pixel_stride + T.truncmod(position, spec.channels)
