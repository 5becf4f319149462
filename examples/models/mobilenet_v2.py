"""MobileNetV2: Sandler et al., "Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 2."""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

#        expansion, channels, repeats, stride of the first
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, HEAD = 32, 1280


def mobilenet_v2(
    *, width: float = 1.0, resolution: int = 224, classes: int = 1000, **options: Any
) -> onnx.ModelProto:
    """MobileNetV2, its channels scaled by `width`: "image" [1, 3, resolution, resolution]."""
    net = NetworkBuilder("mobilenet_v2", resolution=resolution, **options)
    x = net.conv(net.image, round_channels(STEM * width), 3, stride=2, activation="relu6")
    for expansion, channels, repeats, stride in STAGES:
        for index in range(repeats):
            x = inverted_residual(
                net,
                x,
                round_channels(channels * width),
                expansion=expansion,
                kernel=3,
                stride=stride if index == 0 else 1,
            )
    x = net.conv(x, round_channels(HEAD * max(width, 1.0)), 1, activation="relu6")
    x = net.flatten(net.global_average_pool(x))
    return net.build(net.dense(x, classes))


def inverted_residual(
    net: NetworkBuilder, x: str, channels: int, *, expansion: int, kernel: int, stride: int
) -> str:
    """Widen, filter each channel, narrow without activation; add x if the shapes are equal."""
    hidden = net.channels(x) * expansion
    y = x if expansion == 1 else net.conv(x, hidden, 1, activation="relu6")
    y = net.conv(y, hidden, kernel, stride=stride, depthwise=True, activation="relu6")
    y = net.conv(y, channels, 1)
    return net.add(y, x) if stride == 1 and net.channels(x) == channels else y


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor` that is not more than a tenth too few."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
