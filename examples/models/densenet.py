"""DenseNet-121: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, table 1."""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

LAYERS = (6, 12, 24, 16)  # in each dense block
GROWTH = 32  # channels that a layer adds
BOTTLENECK = 4 * GROWTH


def densenet121(*, resolution: int = 224, classes: int = 1000, **options: Any) -> onnx.ModelProto:
    """DenseNet-121: "image" [1, 3, resolution, resolution] -> "logits"."""
    net = NetworkBuilder("densenet121", resolution=resolution, **options)
    x = net.conv(net.image, 2 * GROWTH, 7, stride=2, activation="relu")
    x = net.max_pool(x, 3, 2)
    for index, layers in enumerate(LAYERS):
        if index > 0:
            x = _transition(net, x)
        for _ in range(layers):
            x = net.concat([x, _layer(net, x)])
    x = net.norm(x, activation="relu")
    x = net.flatten(net.global_average_pool(x))
    return net.build(net.dense(x, classes))


def _layer(net: NetworkBuilder, x: str) -> str:
    """The features that a layer appends to those it reads."""
    y = net.norm(x, activation="relu")
    y = net.conv(y, BOTTLENECK, 1, activation="relu")
    return net.conv(y, GROWTH, 3, normalize=False)


def _transition(net: NetworkBuilder, x: str) -> str:
    """Half the channels, half the resolution."""
    y = net.norm(x, activation="relu")
    y = net.conv(y, net.channels(x) // 2, 1, normalize=False)
    return net.average_pool(y, 2)
