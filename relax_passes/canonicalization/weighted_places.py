"""Resampling along an axis as a weighted sum of elements at constant places.

    y[..., i, ...] = weights[0, i] * x[..., places[0, i], ...] + weights[1, i] * ...

Each term is a `relax.take` and a product, so rows stream through them whatever the filter is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tvm import relax

Emit = Callable[[relax.Expr], relax.Expr]


@dataclass(frozen=True)
class Taps:
    """places, weights: integers and float32 of shape (taps, elements of the result)."""

    places: np.ndarray
    weights: np.ndarray

    @staticmethod
    def linear(positions: np.ndarray, length: int) -> Taps:
        """The two elements beside each position."""
        inside = np.clip(positions.astype(np.float32), 0, np.float32(length - 1))
        before = np.floor(inside).astype(np.int64)
        after = (inside - before).astype(np.float32)
        places = np.stack([before, np.minimum(before + 1, length - 1)])
        return Taps(places, np.stack([1 - after, after]))

    @staticmethod
    def cubic(positions: np.ndarray, length: int, a: float, *, exclude: bool = False) -> Taps:
        """The four elements around each position, by Keys' kernel with the coefficient `a`.

        Elements outside are those at the border, or, with `exclude`, none.
        """
        before = np.floor(positions).astype(np.int64)
        places = before + np.arange(-1, 3)[:, None]
        weights = keys_kernel(positions - places, a)
        return Taps(places, weights)._inside(length, exclude)

    @staticmethod
    def filtered(
        positions: np.ndarray,
        step: float,
        length: int,
        kernel: Callable[[np.ndarray], np.ndarray],
        reach: int,
        *,
        exclude: bool = False,
    ) -> Taps:
        """Everything below `kernel`, widened to `step` elements where the result is smaller.

        kernel: of distances, 0 from `reach` on.
        """
        wide = max(step, 1.0)
        support = np.float32(reach * wide)
        centers = positions.astype(np.float32) + np.float32(0.5)
        first = np.floor(centers - support + np.float32(0.5)).astype(np.int64)
        count = int(np.ceil(support)) * 2 + 1
        places = first + np.arange(count)[:, None]
        return Taps(places, kernel((places - positions) / wide))._inside(length, exclude)

    def _inside(self, length: int, exclude: bool) -> Taps:
        weights = self.weights.astype(np.float64)
        if exclude:
            weights = np.where((self.places < 0) | (self.places >= length), 0, weights)
        weights /= weights.sum(axis=0)
        return Taps(np.clip(self.places, 0, length - 1), weights.astype(np.float32))


def triangle_kernel(distance: np.ndarray) -> np.ndarray:
    """Linear interpolation's."""
    return np.maximum(1 - np.abs(distance), 0)


def keys_kernel(distance: np.ndarray, a: float) -> np.ndarray:
    """Cubic convolution's: R. Keys, Cubic Convolution Interpolation for Digital Image Processing
    (1981), with the coefficient `a` free.
    """
    d = np.abs(np.asarray(distance, np.float64))
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d < 1, near, np.where(d < 2, far, 0))


def weighted_places(data: relax.Expr, axis: int, taps: Taps, emit: Emit) -> relax.Expr:
    """`data` resampled along `axis`; of a floating-point type unless there is one tap."""
    rank, dtype = len(data.ty.shape), str(data.ty.dtype)
    total: relax.Expr | None = None
    for places, weights in zip(taps.places, taps.weights):
        if not weights.any():
            continue
        term = at_places(data, axis, places, emit)
        if np.any(weights != 1):
            shape = [-1 if other == axis else 1 for other in range(rank)]
            factors = relax.const(weights.reshape(shape).astype(dtype), dtype)
            term = emit(relax.op.multiply(term, factors))
        total = term if total is None else emit(relax.op.add(total, term))
    assert total is not None
    return total


def at_places(data: relax.Expr, axis: int, places: np.ndarray, emit: Emit) -> relax.Expr:
    """Elements of `data` along `axis`; `data` itself if they are all of it."""
    if places.tolist() == list(range(int(data.ty.shape[axis]))):
        return data
    return emit(relax.op.take(data, relax.const(places.astype(np.int64), "int64"), axis=axis))
