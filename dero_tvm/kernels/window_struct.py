"""The geometry of a sliding window as the C code of `window.h` takes it."""

from __future__ import annotations

import numpy as np

from relax_passes.operators import Signature

TALLEST = 16  # WINDOW_TALLEST
_LARGEST = 32767


def clamp(signature: Signature) -> tuple[int, int]:
    """The limits of an int8 result."""
    low, high = signature["minimum"], signature["maximum"]
    return (-128 if low is None else max(low, -128)), (127 if high is None else min(high, 127))


def pack_window(
    signature: Signature, kernel: tuple[int, int], rounding: int = 0
) -> np.ndarray | None:
    """A ``struct window`` as int16; None if some number is too large for it.

    Of float32 operators it has no limits, and the distance between pixels of the data in bytes.

    Dense layers are convolutions whose window has one pixel.  Rows count through a batch, which
    only such windows can do: larger ones must not reach into the image before or after.
    """
    data, out, attrs = signature.inputs[0], signature.output, signature.attrs
    strides, dilation = attrs.get("strides", (1, 1)), attrs.get("dilation", (1, 1))
    top, left, bottom, _ = attrs.get("padding", (0, 0, 0, 0))
    limits = clamp(signature) if data.dtype == "int8" else (0, 0)
    row_by_row = kernel[0] == strides[0] == 1 and not (top or bottom)
    values = (
        *(data.rows, data.pixels, data.pixel_stride * data.itemsize),
        *(out.pixels, out.pixel_stride, data.channels, out.channels),
        *(*kernel, *strides, *dilation, top, left),
        *(attrs["input_zero_point"], *limits, rounding),
    )
    batch = len(data.shape) == 4 and data.shape[0] > 1
    if (batch and not row_by_row) or kernel[0] > TALLEST or max(values) > _LARGEST:
        return None
    return np.array(values, np.int16)
