"""Small networks of three families, as ONNX with seeded weights."""

from __future__ import annotations

import onnx

from examples.models.layers import NetworkBuilder
from examples.models.mobilenet_v2 import inverted_residual


def resnet_like(resolution: int = 32) -> onnx.ModelProto:
    """A stem of 7x7 convolution and max pool, two stages of basic blocks, a projection."""
    net = NetworkBuilder("resnet_like", resolution=resolution, batch_norms=False, seed=1)
    x = net.conv(net.image, 8, 7, stride=2, activation="relu")
    x = net.max_pool(x, 3, 2)
    for stage, width in enumerate((8, 12)):
        for index in range(2):
            stride = 2 if stage and not index else 1
            y = net.conv(x, width, 3, stride=stride, activation="relu")
            y = net.conv(y, width, 3)
            if stride == 2:
                x = net.conv(x, width, 1, stride=2)
            x = net.activate(net.add(y, x), "relu")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 5))


def mobilenet_like(resolution: int = 24) -> onnx.ModelProto:
    """Inverted residuals: depthwise and linear convolutions, ReLU6."""
    net = NetworkBuilder("mobilenet_like", resolution=resolution, batch_norms=False, seed=2)
    x = net.conv(net.image, 8, 3, stride=2, activation="relu6")
    for expansion, channels, stride, kernel in ((1, 8, 1, 3), (3, 12, 2, 5), (3, 12, 1, 3)):
        x = inverted_residual(net, x, channels, expansion=expansion, kernel=kernel, stride=stride)
    x = net.conv(x, 20, 1, activation="relu6")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 5))


def densenet_like(resolution: int = 32) -> onnx.ModelProto:
    """Two dense blocks and a transition."""
    net = NetworkBuilder("densenet_like", resolution=resolution, batch_norms=False, seed=3)
    x = net.max_pool(net.conv(net.image, 8, 7, stride=2, activation="relu"), 3, 2)
    for block in range(2):
        if block:
            x = net.conv(net.norm(x, activation="relu"), net.channels(x) // 2, 1, normalize=False)
            x = net.average_pool(x, 2)
        for _ in range(2):
            y = net.conv(net.norm(x, activation="relu"), 16, 1, activation="relu")
            x = net.concat([x, net.conv(y, 4, 3, normalize=False)])
    x = net.norm(x, activation="relu")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 5))
