"""Resize as ONNX Runtime computes it.

Nearest neighbours and pairs of an image that TVM's importer reads as they are meant go through it;
a scale that gives no whole number of pixels becomes the operator of this project's set, which is
told; all else is a sum of elements at constant places, axis by axis: see `weighted_places`.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from relax_passes.canonicalization.weighted_places import (
    Taps,
    at_places,
    keys_kernel,
    triangle_kernel,
    weighted_places,
)
from relax_passes.operators.resize2d import COORDINATES as NEAREST
from relax_passes.operators.resize_bilinear import COORDINATES

from ..scaled_bilinear import scaled_bilinear
from .old_operators import SHRINKING_ROUNDS_UP, reshaped, shape_of
from .resize_request import CROPS, AxisRequest, requested

Inputs = MutableSequence[Any]  # data, roi, scales, sizes
Convert = Callable[[Inputs, dict[str, Any]], relax.Expr]  # TVM's
_MOST_PLACES = 1 << 16  # along an axis, where they are listed
_WIDEST = 32  # pixels that become one by a filter


def resize(
    inputs: Inputs, attrs: dict[str, Any], convert: Convert, builder: relax.BlockBuilder
) -> relax.Expr:
    """The converted operator; raises ``ValueError`` for what is not supported."""
    data = inputs[0]
    given = [_values(operand) for operand in inputs[1:]]
    region, scales, sizes = [*given, None, None, None][:3]
    axes = requested(shape_of(data), scales, sizes, region, attrs)
    coordinates = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
    node = _Resize(attrs, coordinates, convert, builder)
    return node.along_time(data, axes) if len(axes) == 3 else node.resized(data, axes)


def _values(expr: Any) -> np.ndarray | None:
    """Of an operand; None if it is left out, or empty, as exporters to opset 11 write it."""
    if expr is None:
        return None
    if isinstance(expr, relax.ShapeExpr):
        return np.array([int(length) for length in expr.values])
    if not isinstance(expr, GenericConst):
        raise ValueError("its scales or sizes are computed at run time; they must be constants")
    values = expr.value.numpy()
    return values if values.size else None


@dataclass(frozen=True)
class _Resize:
    """A node: what holds for all of its axes, and what it is made with."""

    attrs: dict[str, Any]
    coordinates: str
    convert: Convert
    builder: relax.BlockBuilder

    def along_time(self, data: Any, axes: list[AxisRequest]) -> relax.Expr:
        """A sequence [N, C, T] as an image of one column."""
        image = reshaped(data, [*shape_of(data), 1], self.builder)
        column = AxisRequest(1, 1, np.float32(1))
        resized = self.builder.emit(self.resized(image, [*axes, column]))
        return reshaped(resized, shape_of(resized)[:3], self.builder)

    def resized(self, data: Any, axes: list[AxisRequest]) -> relax.Expr:
        if all(axis.size == axis.length for axis in axes):
            return data
        mode = self.attrs.get("mode", b"nearest")
        if mode == b"nearest":
            resized = self._nearest(data, axes)
        elif mode == b"linear" and not self.attrs.get("antialias"):
            resized = self._bilinear(data, axes)
        else:
            resized = self._mixed(data, axes)
        return resized if self.coordinates != CROPS else self._cropped(resized, axes)

    def _nearest(self, data: Any, axes: list[AxisRequest]) -> relax.Expr:
        mode = self.attrs.get("nearest_mode", b"round_prefer_floor")
        if mode == SHRINKING_ROUNDS_UP:
            shrinks = {axis.scale < 1 for axis in axes if axis.scale != 1}
            mode = mode if len(shrinks) > 1 else b"ceil" if True in shrinks else b"floor"
        known = _as_tvm_has_it(axes, self.coordinates)
        if known in NEAREST and mode != SHRINKING_ROUNDS_UP:
            return self._by_sizes(data, axes, known, nearest_mode=mode)
        for number, axis in enumerate(axes):
            if not axis.is_whole:
                places = axis.nearest(_listed(axis, self.coordinates), mode)
                data = at_places(data, number, places, self.builder.emit)
        return data

    def _bilinear(self, data: Any, axes: list[AxisRequest]) -> relax.Expr:
        known = _as_tvm_has_it(axes, self.coordinates)
        if known is not None:
            return self._by_sizes(data, axes, known)
        if len(axes) == 4 and all(axis.scale == 1 for axis in axes[:2]):
            scales = [float(axis.scale) for axis in axes[2:]]
            size = [axis.size for axis in axes[2:]]
            scaled = scaled_bilinear(data, scales, self.coordinates, self.builder, size)
            if scaled is not None:
                return scaled
        return self._mixed(data, axes)

    def _by_sizes(
        self, data: Any, axes: list[AxisRequest], known: str, **more: bytes
    ) -> relax.Expr:
        """TVM's operator, which takes the quotient of the sizes for the scale."""
        sizes = relax.const(np.array([axis.size for axis in axes], np.int64))
        attrs = self.attrs | more | {"coordinate_transformation_mode": known.encode()}
        return self.convert([data, None, None, sizes], attrs)

    def _mixed(self, data: Any, axes: list[AxisRequest]) -> relax.Expr:
        if "float" not in str(data.ty.dtype):
            raise ValueError(f"it mixes pixels of {data.ty.dtype}; dequantize them before")
        for number in reversed(range(len(axes))):
            axis = axes[number]
            if not axis.is_whole:
                taps = _taps(axis, _listed(axis, self.coordinates), self.attrs)
                data = weighted_places(data, number, taps, self.builder.emit)
        return data

    def _cropped(self, data: relax.Expr, axes: list[AxisRequest]) -> relax.Expr:
        """`extrapolation_value` where the region is outside of the data."""
        outside = np.zeros([1] * len(axes), bool)
        for number, axis in enumerate(axes):
            positions = axis.positions(CROPS)
            beyond = (positions < 0) | (positions > axis.length - 1)
            outside = outside | beyond.reshape(
                [-1 if other == number else 1 for other in range(len(axes))]
            )
        if not outside.any():
            return data
        dtype = str(data.ty.dtype)
        filled = np.array(self.attrs.get("extrapolation_value", 0.0)).astype(dtype)
        value = relax.const(filled, dtype)
        return relax.op.where(relax.const(outside), value, self.builder.normalize(data))


def _as_tvm_has_it(axes: list[AxisRequest], coordinates: str) -> str | None:
    """TVM's name of the coordinates, if it reads this resizing of an image as it is meant."""
    if len(axes) != 4 or any(axis.scale != 1 for axis in axes[:2]):
        return None
    quotients = all(axis.is_quotient for axis in axes)
    if coordinates == "align_corners":  # where TVM divides by zero for one pixel
        return coordinates if min(axis.size for axis in axes[2:]) > 1 else None
    if coordinates == "half_pixel_symmetric" and quotients:
        return "half_pixel"
    return coordinates if quotients and coordinates in COORDINATES else None


def _taps(axis: AxisRequest, coordinates: str, attrs: dict[str, Any]) -> Taps:
    positions, length = axis.positions(coordinates), axis.length
    mode, exclude = attrs.get("mode"), bool(attrs.get("exclude_outside"))
    a = attrs.get("cubic_coeff_a", -0.75)
    if mode not in (b"linear", b"cubic"):
        raise ValueError(f"its mode {mode!r} is not one of ONNX'")
    if attrs.get("antialias"):
        if axis.scale * _WIDEST < 1:
            raise ValueError(f"scaling by {axis.scale:g} with antialias is not supported")
        kernel, reach = (
            (triangle_kernel, 1) if mode == b"linear" else (partial(keys_kernel, a=a), 2)
        )
        step = 1 / float(axis.scale)
        return Taps.filtered(positions, step, length, kernel, reach, exclude=exclude)
    if mode == b"linear":
        return Taps.linear(positions, length)
    return Taps.cubic(positions, length, a, exclude=exclude)


def _listed(axis: AxisRequest, coordinates: str) -> str:
    """`coordinates`, if the places along an axis are few enough for a list."""
    if max(axis.size, axis.length) > _MOST_PLACES:
        raise ValueError(
            f"resizing {axis.length:,} pixels to {axis.size:,} by {coordinates} coordinates and a "
            f"scale of {axis.scale:g} is supported for up to {_MOST_PLACES:,}"
        )
    return coordinates
