"""Random images that, unlike white noise, differ from one another at every scale."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx


def random_images(count: int, channels: int, resolution: int, *, seed: int = 0) -> np.ndarray:
    """Array [count, channels, resolution, resolution]: noise of every power-of-two grain, summed.

    Values have mean 0 and standard deviation 1 over all images.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((count, channels, resolution, resolution), np.float32)
    grain = 1
    while grain < 2 * resolution:
        cells = -(-resolution // grain)
        noise = rng.standard_normal((count, channels, cells, cells), dtype=np.float32)
        enlarged = noise.repeat(grain, axis=2).repeat(grain, axis=3)
        total += enlarged[:, :, :resolution, :resolution]
        grain *= 2
    return (total - total.mean()) / total.std()


def random_inputs(
    model: onnx.ModelProto, count: int, *, seed: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Random images one by one, as inputs of a model with one image input and a batch of one."""
    (value,) = model.graph.input
    _, channels, resolution, _ = (dim.dim_value for dim in value.type.tensor_type.shape.dim)
    for image in random_images(count, channels, resolution, seed=seed):
        yield {value.name: image[None]}
