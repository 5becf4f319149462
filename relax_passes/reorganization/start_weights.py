"""The weights with which the training of a reorganized network starts.

Where a layer's weights still have the shape they had in the original network, they are
inherited; a normalisation after the convolution takes its bias as its shift.  The others are
drawn from a normal distribution of standard deviation ``sqrt(2 / fan)``, with
``fan = filters / groups * kernel area`` (He et al., "Delving Deep into Rectifiers", ICCV 2015, as
PyTorch's ``kaiming_normal_`` with ``fan_out``), biases 0.  What is drawn depends on the layer's
name alone.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np

from .description import Architecture, Convolution, Dense, KeptOperator


def start_weights(
    architecture: Architecture, known: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """An array for every key that `architecture` names, from `known` where a layer inherits.

    `known` is keyed alike; a bias or shift that it lacks is 0.
    """
    weights: dict[str, np.ndarray] = {}
    for node in architecture.nodes:
        if isinstance(node, Dense):
            shape = (node.out_channels, node.in_channels)
            drawn = {
                "weight": _normal(node.name, shape, shape[0]),
                "bias": np.zeros(shape[:1], np.float32),
            }
            for role, array in drawn.items():
                key = f"{node.name}.{role}"
                weights[key] = known[key] if node.inherited else array
        if isinstance(node, KeptOperator):
            for place, _ in node.constants:
                key = f"{node.name}.constant{place}"
                weights[key] = known[key]
        if not isinstance(node, Convolution):
            continue
        zeros = np.zeros(node.out_channels, np.float32)
        bias = known.get(f"{node.name}.bias", known.get(f"{node.name}.shift", zeros))
        weight = known[f"{node.name}.weight"] if node.inherited else _drawn(node)
        weights[f"{node.name}.weight"] = weight
        if node.norm == "after":
            weights[f"{node.name}.shift"] = bias if node.inherited else zeros
        if node.bias:
            weights[f"{node.name}.bias"] = bias if node.inherited else zeros
    return weights


def _drawn(node: Convolution) -> np.ndarray:
    filters, height, width, _ = node.weight_shape
    return _normal(node.name, node.weight_shape, filters / node.groups * height * width)


def _normal(name: str, shape: tuple[int, ...], fan: float) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / fan))
