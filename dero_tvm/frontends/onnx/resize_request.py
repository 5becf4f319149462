"""What a Resize node asks for: the lengths, scales and positions of each axis, as ONNX Runtime
computes them (``core/providers/cpu/tensor/upsamplebase.h``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relax_passes.operators.resize2d import (
    COORDINATES,
    ONNX_ROUNDINGS,
    divided_positions,
    nearest_places,
)

from ..resize_scale import MOST_PIXELS, check_scales
from .old_operators import SHRINKING_ROUNDS_UP

CROPS = "tf_crop_and_resize"


@dataclass(frozen=True)
class AxisRequest:
    """Of one axis.

    length, size: elements of the data, and of the result.
    scale: elements of the result by element of the data, in float32; not always their quotient.
    region: what is shown by `CROPS`, in parts of the length.
    """

    length: int
    size: int
    scale: np.float32
    region: tuple[float, float] = (0.0, 1.0)

    @property
    def is_whole(self) -> bool:
        """Whether the axis stays as it is."""
        return self.size == self.length and self.scale == 1

    @property
    def is_quotient(self) -> bool:
        """Whether the sizes say the scale."""
        return np.float32(self.size / self.length) == self.scale

    def positions(self, coordinates: str) -> np.ndarray:
        """Where each element of the result lies in the data, in float32."""
        half, one = np.float32(0.5), np.float32(1)
        i = np.arange(self.size, dtype=np.float32)
        if self.scale == 1:
            return i
        if coordinates == "pytorch_half_pixel":
            coordinates = "half_pixel" if self.size > 1 else "asymmetric"
        if coordinates in COORDINATES:
            return divided_positions(self.length, self.size, self.scale, coordinates)
        if coordinates == "tf_half_pixel_for_nn":
            return (i + half) / self.scale
        if coordinates == "half_pixel_symmetric":
            adjustment = np.float32(self.size) / (self.scale * np.float32(self.length))
            offset = np.float32(self.length) / np.float32(2) * (one - adjustment)
            exact = np.float64(offset) + (i.astype(np.float64) + 0.5) / np.float64(self.scale)
            return (exact - 0.5).astype(np.float32)
        if coordinates == CROPS:
            return self._cropped(i)
        raise ValueError(f"its coordinate_transformation_mode {coordinates!r} is not supported")

    def _cropped(self, i: np.ndarray) -> np.ndarray:
        start, end = (np.float32(side) for side in self.region)
        last = np.float32(self.length - 1)
        if self.size == 1:
            return i + np.float32(0.5) * (start + end) * last
        return start * last + i * (end - start) * last / np.float32(self.size - 1)

    def nearest(self, coordinates: str, mode: bytes) -> np.ndarray:
        """The element of the data that each one of the result copies."""
        if mode == SHRINKING_ROUNDS_UP:
            mode = b"ceil" if self.scale < 1 else b"floor"
        rounding = ONNX_ROUNDINGS.get(mode.decode())
        if rounding is None:
            raise ValueError(f"its nearest_mode {mode.decode()!r} is not supported")
        if self.scale == 1:
            return np.arange(self.size)
        return nearest_places(self.positions(coordinates), self.length, rounding, "divide")


def requested(
    lengths: Sequence[int],
    scales: np.ndarray | None,
    sizes: np.ndarray | None,
    region: np.ndarray | None,
    attrs: Mapping[str, Any],
) -> list[AxisRequest]:
    """Of all axes, from the operands; raises ``ValueError`` for what gives no image."""
    values = sizes if scales is None else scales
    if values is None:
        raise ValueError("it has neither scales nor sizes")
    axes = attrs.get("axes")
    chosen = [int(axis) % len(lengths) for axis in axes or range(len(lengths))]
    if len(values) != len(chosen):
        what = "sizes" if scales is None else "scales"
        raise ValueError(f"{len(values)} {what} for {len(chosen)} axes")
    result = [AxisRequest(length, length, np.float32(1)) for length in lengths]
    sides = np.repeat([0.0, 1.0], len(chosen)) if region is None else region
    if len(sides) != 2 * len(chosen):
        raise ValueError(f"its roi has {len(sides)} numbers for {len(chosen)} axes")
    bounds = sides.reshape(2, -1).T.tolist()
    policy = attrs.get("keep_aspect_ratio_policy", b"stretch")
    for axis, value, (start, end) in zip(chosen, values, bounds):
        length = lengths[axis]
        if scales is None:
            size, scale = int(value), np.float32(value) / np.float32(length)
        else:
            check_scales([length], [value])
            size, scale = int(np.float32(value) * length), np.float32(value)
        if not 1 <= size <= MOST_PIXELS:
            raise ValueError(f"a size of {size} is not one of 1 to {MOST_PIXELS:,} pixels")
        result[axis] = AxisRequest(length, size, scale, (start, end))
    if scales is not None or policy == b"stretch":
        return result
    pick = {b"not_larger": min, b"not_smaller": max}.get(policy)
    if pick is None:
        raise ValueError(f"its keep_aspect_ratio_policy {policy.decode()!r} is not one of ONNX'")
    scale = pick(result[axis].scale for axis in chosen)
    for axis in chosen:
        size = int(np.floor(scale * np.float32(lengths[axis]) + np.float32(0.5)))
        result[axis] = replace(result[axis], size=size, scale=scale)
    return result
