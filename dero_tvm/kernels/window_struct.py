"""The geometry of a sliding window as the C code of `window.h` takes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.fixed_point import integer_limits

from .c_kernel import PixelBlocks

TALLEST = 16  # WINDOW_TALLEST
_LARGEST = 32767
_PART = "struct window part = *w;\n"


def pack_window(
    signature: Signature, kernel: tuple[int, int], rounding: int = 0, *, tallest: int = TALLEST
) -> np.ndarray | None:
    """A ``struct window`` as int16; None if some number is too large for it.

    Of float32 operators it has no limits, and the distance between pixels of the data in bytes.

    Dense layers are convolutions whose window has one pixel.  Rows count through a batch, which
    only such windows can do: larger ones must not reach into the image before or after.
    """
    data, out, attrs = signature.inputs[0], signature.output, signature.attrs
    strides, dilation = attrs.get("strides", (1, 1)), attrs.get("dilation", (1, 1))
    top, left, bottom, _ = attrs.get("padding", (0, 0, 0, 0))
    limits = (0, 0) if data.dtype == "float32" else integer_limits(signature, data.dtype)
    row_by_row = kernel[0] == strides[0] == 1 and not (top or bottom)
    values = (
        *(data.rows, data.pixels, data.pixel_stride * data.itemsize),
        *(out.pixels, out.pixel_stride, data.channels, out.channels),
        *(*kernel, *strides, *dilation, top, left),
        *(attrs["input_zero_point"], *limits, rounding),
    )
    batch = len(data.shape) == 4 and data.shape[0] > 1
    if (batch and not row_by_row) or kernel[0] > tallest or max(values) > _LARGEST:
        return None
    return np.array(values, np.int16)


def window_blocks(
    call: Callable[..., str], most: int = 0, first: int = 0, *, tallest: int = TALLEST
) -> PixelBlocks:
    """Blocks of a kernel whose row is one call of a function that takes a ``struct window``.

    A block is a row of its own, whose window begins farther to the right.  `call` makes the
    statement of `w`, the window, and `out`.  See `PixelBlocks` for the others.
    """

    def block(pixel: str, count: str, result: str) -> str:
        return (
            f"part.left = (int16_t)(w->left - {pixel} * w->stride_w);\n"
            f"part.out_width = (int16_t){count};\n{call(w='&part', out=result)}"
        )

    def before(offsets: RowOffsets) -> str:
        return offsets.under(from_first=False, tallest=tallest) + _PART

    return PixelBlocks(before, block, most, first)


def single_pixel_blocks(call: Callable[..., str]) -> PixelBlocks:
    """Blocks of a kernel whose windows are single pixels without padding.

    `call` makes the statement for `count` pixels of the result, whose first one reads at `pixel`.
    """

    def block(pixel: str, count: str, result: str) -> str:
        start = f"pixel_0 + {pixel} * (w->stride_w * w->in_pixel)"
        return call(pixel=start, count=count, out=result)

    return PixelBlocks(lambda offsets: offsets.pixels_under(from_first=False), block)
