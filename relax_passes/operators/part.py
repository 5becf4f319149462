"""One tensor among several that an operator packs into the bytes of its result."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@register
class Part(Operator):
    """The tensor of type `dtype` and `shape` that begins `offset` bytes into `packed`.

    An operator of this set gives one tensor.  One that computes several (`lstm`) packs them into
    int8, and its parts cost no memory and no time: they are planned as the same buffer.
    """

    name = "part"
    arguments = ("packed",)
    read_by_rows = ()
    memory_class = OperatorClass.LAYOUT
    defaults = {"offset": REQUIRED, "shape": REQUIRED, "dtype": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """`shape` and `dtype`."""
        spec = TensorSpec(tuple(int(length) for length in attrs["shape"]), attrs["dtype"])
        if len(inputs) != 1 or inputs[0].dtype != "int8" or len(inputs[0].shape) != 1:
            raise ValueError(f"part takes one row of bytes, got {inputs}")
        offset, end = attrs["offset"], attrs["offset"] + spec.bytes
        if offset < 0 or offset % spec.itemsize or end > inputs[0].bytes:
            raise ValueError(
                f"part: {spec.described} at byte {offset} is no part of {inputs[0].bytes} bytes"
            )
        return spec

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        out, offset = signature.output, signature["offset"]
        kind, elements, row_size = out.dtype, out.elements, out.pixels * out.channels

        @script.row_kernel(signature)
        def part_row(row, P, O):
            V = T.decl_buffer((elements,), kind, data=typed(P, offset, kind))
            for e in range(row_size):
                O[e] = V[row * row_size + e]

        return part_row


def typed(buffer: tirx.Buffer, offset: int, dtype: str) -> Any:
    """TIR pointer to elements of `dtype`, `offset` bytes into a buffer of int8."""
    address = tirx.address_of(buffer[offset])
    return address if dtype == "int8" else T.reinterpret(T.handle(dtype).ty, address)
