"""Smaller images for a network, from large to small, as `tvmc advise` tries them."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontends import LoadedModel
from ..frontends.loaded import ModelPort

HALF = 1 / 2
_SHARES = (7 / 8, 3 / 4, 5 / 8, HALF, 3 / 8, 1 / 4)  # of height and width
_STEPS = (32, 16, 8, 4, 2, 1)  # pixels; networks halve images several times
_COARSEST = 8  # steps that an image has at least


def image_input(loaded: LoadedModel) -> ModelPort | None:
    """The largest input with four dimensions, rows and columns of pixels among them."""
    images = [
        port for port in loaded.inputs if len(port.shape) == 4 and min(_sides(loaded, port)) > 1
    ]
    return max(images, key=lambda port: _area(loaded, port), default=None)


def smaller_shapes(
    loaded: LoadedModel, image: ModelPort
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """The share of height and width that was asked for, and the shape nearest below."""
    first, second = _axes(loaded)
    height, width = _sides(loaded, image)
    step = next(
        s
        for s in _STEPS
        if s == 1 or not (height % s or width % s or min(height, width) < _COARSEST * s)
    )
    seen = set()
    for share in _SHARES:
        shape = list(image.shape)
        shape[first], shape[second] = (int(side * share) // step * step for side in (height, width))
        if min(shape) > 0 and tuple(shape) not in seen:
            seen.add(tuple(shape))
            yield share, tuple(shape)


def _axes(loaded: LoadedModel) -> tuple[int, int]:
    return (1, 2) if loaded.format == "tflite" else (2, 3)


def _sides(loaded: LoadedModel, port: ModelPort) -> tuple[int, int]:
    first, second = _axes(loaded)
    return port.shape[first], port.shape[second]


def _area(loaded: LoadedModel, port: ModelPort) -> int:
    height, width = _sides(loaded, port)
    return height * width
