"""MCUNet's ImageNet network for 320 KB of RAM: Lin et al., "MCUNet", NeurIPS 2020."""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder
from .mobilenet_v2 import inverted_residual

STEM = 16
#        expansion, channels, stride, kernel
BLOCKS = (
    (1, 8, 1, 3),
    (3, 16, 2, 7),
    (5, 16, 1, 3),
    (5, 16, 1, 7),
    (4, 16, 1, 5),
    (5, 24, 2, 5),
    (5, 24, 1, 5),
    (5, 24, 1, 5),
    (5, 40, 2, 3),
    (6, 40, 1, 7),
    (4, 40, 1, 5),
    (5, 48, 1, 5),
    (5, 48, 1, 7),
    (5, 48, 1, 3),
    (6, 96, 2, 3),
    (5, 96, 1, 7),
    (4, 96, 1, 3),
    (5, 160, 1, 7),
)


def mcunet_in3(*, resolution: int = 176, classes: int = 1000, **options: Any) -> onnx.ModelProto:
    """A chain of inverted residuals: "image" [1, 3, resolution, resolution] -> "logits"."""
    net = NetworkBuilder("mcunet_in3", resolution=resolution, **options)
    x = net.conv(net.image, STEM, 3, stride=2, activation="relu6")
    for expansion, channels, stride, kernel in BLOCKS:
        x = inverted_residual(net, x, channels, expansion=expansion, kernel=kernel, stride=stride)
    x = net.flatten(net.global_average_pool(x))
    return net.build(net.dense(x, classes))
