"""Products of computed matrices, many at a time."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, indexing, script
from .registry import Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@register
class MatMul(Operator):
    """Sums of products: ``out[.., h, n] = sum over k of a[.., h, k] * b[n, h, k]``.

    ``a`` is [..., heads * K], one vector a head in each pixel, ``b`` is [..., heads * K], whose N
    pixels are the columns of the other matrix; without `transposed` it is [..., heads * N], whose
    K pixels are its rows: ``out[.., h, n] = sum over k of a[.., h, k] * b[k, h, n]``.  `apart` says
    of a, b and the result whether heads have an axis of their own, [..., heads, K] in place of
    [..., heads * K].  `outer` says for how many first parts of both, equally many rows each, this
    is done one by one.

    So a matrix product goes by rows of its left operand, and attention by tokens, with the vectors
    of a token's heads side by side, as the dense layers before it make them and the one behind it
    takes them.  The right operand has to be there before the first row.

    int8: ``out = clamp(requantize(sum((a - zero_points[0]) * (b - zero_points[1]))) +
    zero_points[2], minimum, maximum)`` with an int32 sum.
    """

    name = "matmul"
    memory_class = OperatorClass.POINTWISE
    arguments = ("a", "b")
    read_by_rows = (0, 1)
    defaults = {
        "heads": 1,
        "outer": 1,
        "transposed": False,
        "apart": (False, False, False),
        "minimum": None,
        "maximum": None,
        "zero_points": (0, 0, 0),
        "multiplier": None,
        "shift": None,
        "rounding": "double",
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 2 or inputs[0].dtype != inputs[1].dtype:
            raise ValueError(f"matmul takes two tensors of one type, got {inputs}")
        if inputs[0].dtype not in ("float32", "int8"):
            raise ValueError(f"matmul takes float32 or int8, got {inputs[0].dtype}")
        if inputs[0].dtype == "int8" and None in (attrs["multiplier"], attrs["shift"]):
            raise ValueError("matmul: int8 needs a multiplier and a shift")
        fixed_point.check_rounding("matmul", attrs["rounding"])
        heads, outer = attrs["heads"], attrs["outer"]
        apart = attrs["apart"]
        if any(own and len(spec.shape) < 4 for own, spec in zip(apart, inputs)):
            raise ValueError(f"matmul: heads are apart in tensors of four axes, got {inputs}")
        a, b = (_Vectors(spec, heads, outer, own) for spec, own in zip(inputs, apart))
        depth = b.length if attrs["transposed"] else b.count
        if a.length != depth or any(v.spec.rows % outer for v in (a, b)):
            raise ValueError(
                f"matmul: {inputs[0].shape} does not fit {inputs[1].shape} with {heads} heads "
                f"in {outer} parts"
            )
        units = b.count if attrs["transposed"] else b.length
        end = (heads, units) if apart[2] else (heads * units,)
        out = TensorSpec((*a.leading, *end), inputs[0].dtype)
        indexing.check_rank("matmul", out)
        if out.rows != a.spec.rows:
            raise ValueError(f"matmul: rows of {a.spec.shape} are not those of {out.shape}")
        return out

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        if argument == 0:
            return row, row + 1
        outer = signature["outer"]
        part = row // (signature.output.rows // outer)
        rows = signature.inputs[1].rows // outer
        return part * rows, (part + 1) * rows

    def macs(self, signature: Signature) -> int:
        return signature.output.elements * Product(signature).depth

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = Product(signature)
        accumulator = "int32" if g.integer else "float32"

        @script.row_kernel(signature)
        def matmul_row(row, A, a_rows, B, b_rows, O):
            for p in range(g.a.pixels):
                for h in range(g.heads):
                    for n in range(g.units):
                        acc = T.alloc_buffer((1,), accumulator)
                        acc[0] = tirx.const(0, accumulator)
                        for k in range(g.depth):
                            acc[0] += g.left(A[g.a.offset(row, p, h, k, a_rows)]) * g.right(
                                B[g.right_offset(row, h, n, k, b_rows)]
                            )
                        O[g.out_offset(p, h, n)] = g.finish(acc[0])

        return matmul_row


class _Vectors:
    """A tensor as vectors, one for each head of each pixel."""

    def __init__(self, spec: TensorSpec, heads: int, outer: int, apart: bool) -> None:
        self.spec, self.heads, self.apart = spec, heads, apart
        self.leading = spec.shape[:-2] if apart else spec.shape[:-1]
        self.length = spec.channels if apart else spec.channels // heads
        self.pixels = spec.pixels // heads if apart else spec.pixels  # of a row
        self.rows = spec.rows // outer
        self.count = self.rows * self.pixels  # of one part

    def offset(self, row: Any, pixel: Any, head: Any, element: Any, ring: Any) -> Any:
        """Elements from the base of the ring to one of a vector."""
        return indexing.ring_offset(self.spec, row, self.in_row(pixel, head, element), ring)

    def in_row(self, pixel: Any, head: Any, element: Any) -> Any:
        """Elements from the start of a row to one of a vector."""
        if self.apart:
            return (pixel * self.heads + head) * self.spec.pixel_stride + element
        return pixel * self.spec.pixel_stride + head * self.length + element


class Product:
    """Loop bounds, index arithmetic and arithmetic of a kernel."""

    def __init__(self, signature: Signature) -> None:
        self.heads, outer = signature["heads"], signature["outer"]
        operands = zip(signature.inputs, signature["apart"])
        self.a, self.b = (_Vectors(spec, self.heads, outer, apart) for spec, apart in operands)
        self.out = signature.output
        self.transposed = signature["transposed"]
        self.outer = outer
        self.depth = self.a.length
        self.units = self.b.count if self.transposed else self.b.length
        self.integer = self.out.dtype == "int8"
        self.attrs = signature.attrs

    def right_offset(self, row: Any, head: Any, unit: Any, term: Any, ring: Any) -> Any:
        """Where the right operand has what `unit` multiplies `term` by."""
        index, element = (unit, term) if self.transposed else (term, unit)
        pixels = self.b.pixels
        if pixels == 1:
            own, pixel = index, 0
        else:
            own, pixel = T.truncdiv(index, pixels), T.truncmod(index, pixels)
        if self.outer > 1:
            own = T.truncdiv(row, self.a.rows) * self.b.rows + own
        return self.b.offset(own, pixel, head, element, ring)

    def out_offset(self, pixel: Any, head: Any, unit: Any) -> Any:
        if self.attrs["apart"][2]:
            return (pixel * self.heads + head) * self.out.pixel_stride + unit
        return pixel * self.out.pixel_stride + head * self.units + unit

    def left(self, element: Any) -> Any:
        return self._less(element, 0)

    def right(self, element: Any) -> Any:
        return self._less(element, 1)

    def _less(self, element: Any, operand: int) -> Any:
        if not self.integer:
            return element
        return T.cast(element, "int32") - self.attrs["zero_points"][operand]

    def finish(self, total: Any) -> Any:
        low, high = self.attrs["minimum"], self.attrs["maximum"]
        if not self.integer:
            return fixed_point.clamp(total, low, high, "float32")
        scaled = fixed_point.multiply(
            total,
            tirx.const(self.attrs["multiplier"], "int32"),
            tirx.const(self.attrs["shift"], "int32"),
            self.attrs["rounding"],
        )
        return fixed_point.saturate(scaled + self.attrs["zero_points"][2], low, high)
