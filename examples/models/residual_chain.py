"""A chain of equal residual blocks: as deep a network as is wanted, to measure growth with."""

from __future__ import annotations

import onnx

from .layers import NetworkBuilder


def residual_chain(
    blocks: int, *, width: int = 16, resolution: int = 16, seed: int = 0
) -> onnx.ModelProto:
    """Two 3x3 convolutions a block: "image" [1, 3, resolution, resolution] -> "logits" [1, 10]."""
    net = NetworkBuilder(f"residual_chain{blocks}", resolution=resolution, seed=seed)
    x = net.conv(net.image, width, 3, activation="relu")
    for _ in range(blocks):
        y = net.conv(x, width, 3, activation="relu")
        x = net.activate(net.add(net.conv(y, width, 3), x), "relu")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 10))
