"""Resizing of images as PyTorch computes it, where TVM's importer departs from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from tvm import relax

from relax_passes.canonicalization.weighted_places import (
    Taps,
    at_places,
    keys_kernel,
    triangle_kernel,
    weighted_places,
)
from relax_passes.operators.resize2d import nearest_table

from .resize_scale import check_scales, loses_scales
from .scaled_bilinear import scaled_bilinear

Converter = Callable[[Any, Any], relax.Var]  # of a node of torch.fx, and the importer
_A = -0.75  # the coefficient of cubic kernels; antialiased ones have PIL's
_A_OF_PIL = -0.5


def _nearest(node: Any, importer: Any) -> relax.Var:
    """``upsample_nearest2d.vec(input, output_size, scale_factors)``."""
    data, size, scales = node.args
    image, builder = importer.env[data], importer.block_builder
    lengths = _lengths(image)
    if size is None:
        size = _sizes(lengths, scales)
        if loses_scales(lengths, scales, coordinates="asymmetric", rounding="floor"):
            for axis, (length, out, scale) in enumerate(zip(lengths, size, scales), start=2):
                table = nearest_table(length, out, 1 / scale, "asymmetric", "floor", "multiply")
                image = at_places(image, axis, np.array(table), builder.emit)
            return image
    resized = relax.op.image.resize2d(
        image,
        relax.ShapeExpr(list(size)),
        layout="NCHW",
        method="nearest_neighbor",
        coordinate_transformation_mode="asymmetric",
        rounding_method="floor",
    )
    return builder.emit(resized)


def _bilinear(node: Any, importer: Any) -> relax.Var:
    """``upsample_bilinear2d.vec(input, output_size, align_corners, scale_factors)``."""
    data, size, align_corners, scales = node.args
    image, builder = importer.env[data], importer.block_builder
    lengths = _lengths(image)
    if size is None:
        _sizes(lengths, scales)
        # With aligned corners the sizes alone are looked at.
        if not align_corners and loses_scales(
            lengths, scales, coordinates="half_pixel", rounding=None
        ):
            resized = scaled_bilinear(image, scales, "half_pixel", builder)
            return _mixed(node, importer, Taps.linear) if resized is None else resized
    return importer._upsample_bilinear2d(node)


def _cubic(node: Any, importer: Any) -> relax.Var:
    """``upsample_bicubic2d.vec(input, output_size, align_corners, scale_factors)``."""
    return _mixed(node, importer, partial(Taps.cubic, a=_A))


def _mixed(node: Any, importer: Any, taps_at: Callable[[np.ndarray, int], Taps]) -> relax.Var:
    """`taps_at` says what is mixed at positions in so many pixels."""

    def taps(length: int, size: int, step: float, align_corners: bool) -> Taps:
        i = np.arange(size, dtype=np.float32)
        scale = np.float32(step)
        half = np.float32(0.5)
        return taps_at(i * scale if align_corners else (i + half) * scale - half, length)

    return _resampled(node, importer, taps)


def _antialiased(kernel: Callable[[np.ndarray], np.ndarray], reach: int) -> Converter:
    """``_upsample_bilinear2d_aa(input, output_size, align_corners, ...)``, and the cubic one.

    Positions are those without aligned corners; with them the step alone is another.
    """

    def taps(length: int, size: int, step: float, _align_corners: bool) -> Taps:
        centers = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(step)
        return Taps.filtered(centers - np.float32(0.5), step, length, kernel, reach, exclude=True)

    return lambda node, importer: _resampled(node, importer, taps)


def _resampled(
    node: Any, importer: Any, taps: Callable[[int, int, float, bool], Taps]
) -> relax.Var:
    data, size, align_corners, *scales = node.args
    image, builder = importer.env[data], importer.block_builder
    lengths = _lengths(image)
    if len(scales) == 1 and scales[0] is not None:
        scales = list(scales[0])
    if size is None:
        size = _sizes(lengths, scales)
    for axis in (3, 2):
        length, out = lengths[axis - 2], int(size[axis - 2])
        scale = scales[axis - 2] if len(scales) == 2 else None
        step = 1 / scale if scale else length / out
        if align_corners:
            step = (length - 1) / (out - 1) if out > 1 else 0.0
        if length != out or step != 1:
            across = taps(length, out, step, bool(align_corners))
            image = weighted_places(image, axis, across, builder.emit)
    return image


def _lengths(image: relax.Expr) -> list[int]:
    return [int(length) for length in image.ty.shape][2:]


def _sizes(lengths: Sequence[int], scales: Sequence[float]) -> list[int]:
    check_scales(lengths, scales)
    return [int(length * scale) for length, scale in zip(lengths, scales)]


CONVERTERS: dict[str, Converter] = {
    "upsample_nearest2d.vec": _nearest,
    "upsample_bilinear2d.vec": _bilinear,
    "upsample_bicubic2d.vec": _cubic,
    "_upsample_bilinear2d_aa.default": _antialiased(triangle_kernel, 1),
    "_upsample_bicubic2d_aa.default": _antialiased(partial(keys_kernel, a=_A_OF_PIL), 2),
}
