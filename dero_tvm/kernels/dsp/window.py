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


def pack_window(signature: Signature, kernel: tuple[int, int], rounding: int) -> np.ndarray | None:
    """A ``struct window`` as int16; None if it takes a larger one.

    Dense layers, which have no window, are convolutions with one of a pixel.
    """
    s = signature
    data, out = s.inputs[0], s.output
    images = data.shape[0] if len(data.shape) == 4 and kernel != (1, 1) else 1
    attrs = s.attrs
    strides, dilation = attrs.get("strides", (1, 1)), attrs.get("dilation", (1, 1))
    top, left = attrs.get("padding", (0, 0))[:2]
    values = (
        *(data.rows, data.pixels, data.pixel_stride),
        *(out.pixels, out.pixel_stride, data.channels, out.channels),
        *(*kernel, *strides, *dilation, top, left),
        *(attrs["input_zero_point"], *clamp(s), rounding),
    )
    if images > 1 or kernel[0] > TALLEST or max(values) > _LARGEST:
        return None
    if len(data.shape) == 4 and data.shape[0] > 1 and strides[0] > 1:
        return None
    return np.array(values, np.int16)
