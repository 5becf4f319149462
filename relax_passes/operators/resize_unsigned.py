"""Bilinear resizing of uint8 images as LiteRT's reference kernel has it, in float32.

``tensorflow/lite/kernels/internal/reference/resize_bilinear.h``: of four pixels, each times two
weights, the sums in written order; a half is added and the rest cut off.  At ties the noise of this
arithmetic decides, so it is repeated operation by operation.  The images here are int8, 128 less.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, indexing, script
from .bilinear_axis import Axis
from .signature import Signature

_EXACT = 1 << 15  # parts of a pixel, up to which float32 sums of them are exact
_NO_TIES = 100, 256  # parts, if their number is odd, and pixels along an axis
_OFFSET = 128


def needs_floats(rows: Axis, columns: Axis, size: tuple[int, int]) -> bool:
    """Whether integers with exact weights might round another way than LiteRT's floats.

    They do not if the weights are halves, quarters, ..., nor if no sum is near a tie.
    """
    total = rows.one * columns.one
    if total & (total - 1) == 0 and total <= _EXACT:
        return False
    parts, pixels = _NO_TIES
    return total % 2 == 0 or total > parts or max(*size, rows.length, columns.length) > pixels


def step_of(length: int, out_length: int, coordinates: str) -> np.float32:
    """Input indices by output index."""
    if coordinates == "align_corners" and out_length > 1:
        return np.float32(length - 1) / np.float32(out_length - 1)
    return np.float32(length) / np.float32(out_length)


def neighbours(signature: Signature, axis: int, index: int) -> tuple[int, int]:
    """The two input rows (axis 0) or columns (1) of an output index."""
    length = signature.inputs[0].shape[1 + axis]
    step = step_of(length, signature["size"][axis], signature["coordinates"])
    half = np.float32(0.5)
    place = np.float32(index) * step
    if signature["coordinates"] == "half_pixel":
        place = (np.float32(index) + half) * step - half
    return max(int(np.floor(place)), 0), min(int(np.ceil(place)), length - 1)


def row_kernel(signature: Signature) -> tirx.PrimFunc:
    """See `ResizeBilinear` with the arithmetic ``litert_unsigned``."""
    spec, spec_out = signature.inputs[0], signature.output
    coordinates, size = signature["coordinates"], signature["size"]
    low, high = signature["minimum"], signature["maximum"]
    one, half = tirx.const(1.0, "float32"), tirx.const(0.5, "float32")

    def place(axis: int, index: Any) -> Any:
        step = step_of(spec.shape[1 + axis], size[axis], coordinates)
        step = tirx.const(float(step), "float32")
        value = T.cast(index, "float32")
        return (value + half) * step - half if coordinates == "half_pixel" else value * step

    def first(at: Any) -> Any:
        return T.max(T.cast(at, "int32"), 0)  # what is above -1 is cut off to 0

    def second(axis: int, at: Any) -> Any:
        whole = T.cast(at, "int32")
        above = whole + T.cast(at > T.cast(whole, "float32"), "int32")
        return T.min(above, spec.shape[1 + axis] - 1)

    def start(row: Any, ring: Any, y: Any) -> Any:
        batch = indexing.leading_indices(spec_out, row)[0]
        return indexing.element_offset(spec, [batch, y, 0, 0], ring)

    def pixel(X: Any, begin: Any, x: Any, c: Any) -> Any:
        stored = T.cast(X[begin + x * spec.pixel_stride + c], "int32")
        return T.cast(stored + _OFFSET, "float32")

    def result(total: Any) -> Any:
        return fixed_point.saturate(T.cast(total, "int32") - _OFFSET, low, high)

    @script.row_kernel(signature)
    def resize_unsigned_row(row, X, data_rows, O):
        y_place = T.alloc_buffer((1,), "float32")
        x_place = T.alloc_buffer((1,), "float32")
        y_share = T.alloc_buffer((1,), "float32")
        x_share = T.alloc_buffer((1,), "float32")
        y_rest = T.alloc_buffer((1,), "float32")
        x_rest = T.alloc_buffer((1,), "float32")
        total = T.alloc_buffer((1,), "float32")
        top = T.alloc_buffer((1,), "int32")
        bottom = T.alloc_buffer((1,), "int32")
        left = T.alloc_buffer((1,), "int32")
        right = T.alloc_buffer((1,), "int32")
        y_place[0] = place(0, indexing.leading_indices(spec_out, row)[1])
        y_share[0] = y_place[0] - T.cast(first(y_place[0]), "float32")
        y_rest[0] = one - y_share[0]
        top[0] = start(row, data_rows, first(y_place[0]))
        bottom[0] = start(row, data_rows, second(0, y_place[0]))
        for x in range(spec_out.shape[2]):
            x_place[0] = place(1, x)
            left[0] = first(x_place[0])
            right[0] = second(1, x_place[0])
            x_share[0] = x_place[0] - T.cast(left[0], "float32")
            x_rest[0] = one - x_share[0]
            for c in range(spec_out.channels):
                total[0] = pixel(X, top[0], left[0], c) * y_rest[0] * x_rest[0]
                total[0] = total[0] + pixel(X, bottom[0], left[0], c) * y_share[0] * x_rest[0]
                total[0] = total[0] + pixel(X, top[0], right[0], c) * y_rest[0] * x_share[0]
                total[0] = total[0] + pixel(X, bottom[0], right[0], c) * y_share[0] * x_share[0]
                O[indexing.offset_in_row(spec_out, (x, c))] = result(total[0] + half)

    return resize_unsigned_row
