"""Bilinear resizing by a scale that gives no whole number of pixels.

TVM's operator knows the sizes alone and takes their quotient for the scale; the one of this
project's set is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import relax

from relax_passes.operators import make_call

_COORDINATES = (  # that look at scales
    "asymmetric",
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
)
_MOST_PIXELS = 1 << 14  # along an axis: their numbers times scales stay in 32 bits


def scaled_bilinear(
    data: relax.Expr,
    scales: Sequence[float],
    coordinates: str,
    builder: relax.BlockBuilder,
    size: Sequence[int] | None = None,
) -> relax.Expr | None:
    """float32 NCHW `data` resized by `scales` (of height and width); None if it has to be refused.

    A scale is pixels of the result by pixel of the data; `size` is what the result has, if it is
    not what they give, rounded down.
    """
    shape = [int(length) for length in data.ty.shape]
    if len(shape) != 4 or data.ty.dtype != "float32" or coordinates not in _COORDINATES:
        return None
    if not all(0 < scale < _MOST_PIXELS for scale in scales):  # NaN is outside, too
        return None
    size = size or [int(np.float32(scale) * length) for scale, length in zip(scales, shape[2:])]
    if min(size) < 1 or max(*size, *shape[2:]) > _MOST_PIXELS:
        return None
    image = builder.emit(relax.op.permute_dims(data, [0, 2, 3, 1]))
    resized = make_call(
        "resize_bilinear",
        [image],
        size=tuple(size),
        coordinates=coordinates,
        scale=tuple(1.0 / float(scale) for scale in scales),
    )
    return builder.emit(relax.op.permute_dims(builder.emit(resized), [0, 3, 1, 2]))
