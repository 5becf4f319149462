"""Bilinear resizing of int8 images."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, indexing, script
from .registry import REQUIRED, Operator, OperatorClass, register
from .resize2d import COORDINATES
from .signature import Signature, TensorSpec

_BITS = 10  # of the fraction of a position
_ONE = 1 << _BITS


@register
class ResizeBilinear(Operator):
    """Bilinear resizing of int8 NHWC `data` to `size` (height, width).

    Positions and weights have 10 fractional bits, and the result is rounded once, ties away from
    zero, as in LiteRT's reference kernel (``tensorflow/lite/kernels/internal/reference/
    resize_bilinear.h``).  Its integers know neither scale nor zero point: the result has those of
    the data.  ``coordinates`` are those of `Resize2D`.
    """

    name = "resize_bilinear"
    memory_class = OperatorClass.RESIZE
    arguments = ("data",)
    defaults = {"size": REQUIRED, "coordinates": "asymmetric"}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 1 or inputs[0].dtype != "int8" or len(inputs[0].shape) != 4:
            raise ValueError(f"resize_bilinear takes one int8 tensor in NHWC, got {inputs}")
        if len(attrs["size"]) != 2 or min(attrs["size"]) < 1:
            raise ValueError(
                f"resize_bilinear: size must be a height and a width, got {attrs['size']}"
            )
        if attrs["coordinates"] not in COORDINATES:
            raise ValueError(
                f"resize_bilinear: coordinates must be one of {COORDINATES}, got "
                f"{attrs['coordinates']!r}"
            )
        batch, _, _, channels = inputs[0].shape
        return TensorSpec((batch, *attrs["size"], channels), "int8")

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        height = signature.inputs[0].shape[1]
        batch, y = divmod(row, signature.output.shape[1])
        first, last = _neighbours(_position(signature, 0, y), height)
        return batch * height + first, batch * height + last + 1

    def macs(self, signature: Signature) -> int:
        return 4 * signature.output.elements

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, spec_out = signature.inputs[0], signature.output
        _, height, width, _ = spec.shape
        _, _, out_width, channels = spec_out.shape

        def pixel(X: Any, row: Any, ring: Any, y: Any, x: Any, c: Any) -> Any:
            batch = indexing.leading_indices(spec_out, row)[0]
            return T.cast(X[indexing.element_offset(spec, [batch, y, x, c], ring)], "int32")

        @script.prim_func(private=True, s_tir=True)
        def resize_bilinear_row(
            row: T.int32,
            data: T.handle("int8"),
            data_rows: T.int32,
            out: T.handle("int8"),
        ):
            X = T.decl_buffer((indexing.buffer_elements(spec),), "int8", data=data)
            O = T.decl_buffer((spec_out.row_stride,), "int8", data=out)
            top = T.alloc_buffer((1,), "int32")
            bottom = T.alloc_buffer((1,), "int32")
            left = T.alloc_buffer((1,), "int32")
            right = T.alloc_buffer((1,), "int32")
            down = T.alloc_buffer((1,), "int32")  # weights, of 1024
            across = T.alloc_buffer((1,), "int32")
            before = T.alloc_buffer((1,), "int32")
            after = T.alloc_buffer((1,), "int32")
            y_place = T.alloc_buffer((1,), "int32")
            x_place = T.alloc_buffer((1,), "int32")
            y_place[0] = _position(signature, 0, indexing.leading_indices(spec_out, row)[1])
            top[0] = _neighbours(y_place[0], height)[0]
            bottom[0] = _neighbours(y_place[0], height)[1]
            down[0] = y_place[0] - _ONE * top[0]
            for x in range(out_width):
                x_place[0] = _position(signature, 1, x)
                left[0] = _neighbours(x_place[0], width)[0]
                right[0] = _neighbours(x_place[0], width)[1]
                across[0] = x_place[0] - _ONE * left[0]
                for c in range(channels):
                    before[0] = (
                        pixel(X, row, data_rows, top[0], left[0], c) * (_ONE - down[0])
                        + pixel(X, row, data_rows, bottom[0], left[0], c) * down[0]
                    )
                    after[0] = (
                        pixel(X, row, data_rows, top[0], right[0], c) * (_ONE - down[0])
                        + pixel(X, row, data_rows, bottom[0], right[0], c) * down[0]
                    )
                    O[indexing.offset_in_row(spec_out, (x, c))] = _rounded(
                        before[0] * (_ONE - across[0]) + after[0] * across[0]
                    )

        return resize_bilinear_row


def _position(signature: Signature, axis: int, index: Any) -> Any:
    """Where output index `index` of the height (0) or width (1) lies in the input, times 1024."""
    length, out_length = signature.inputs[0].shape[1 + axis], signature.output.shape[1 + axis]
    if signature["coordinates"] == "align_corners" and out_length > 1:
        length, out_length = length - 1, out_length - 1
    step = (_ONE * length + out_length // 2) // out_length
    if signature["coordinates"] == "half_pixel":
        return index * step + (step // 2 - _ONE // 2)
    return index * step


def _neighbours(position: Any, length: int) -> tuple[Any, Any]:
    """The input indices before and after a position; integers give integers."""
    if isinstance(position, int):
        return min(max(position // _ONE, 0), length - 1), min(-(-position // _ONE), length - 1)
    before = T.min(T.max(T.truncdiv(position, _ONE), 0), length - 1)
    after = T.min(T.truncdiv(position + (_ONE - 1), _ONE), length - 1)
    return before, after


def _rounded(total: Any) -> Any:
    """int8 from a sum of pixels times weights, each of which has two factors of 10 bits."""
    half = 1 << (2 * _BITS - 1)
    total = fixed_point.hold("total", total)
    nudged = total + T.Select(total > 0, half, -half)
    return T.cast(T.truncdiv(nudged, 2 * half), "int8")
