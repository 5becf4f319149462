"""Small networks of three families, as ONNX with seeded weights."""

from __future__ import annotations

import onnx

from examples.models.layers import NetworkBuilder
from examples.models.mobilenet_v2 import inverted_residual


def resnet_like() -> onnx.ModelProto:
    """A stem of a convolution and a max pool, an identity block and a projection block."""
    net = NetworkBuilder("resnet_like", resolution=24, batch_norms=False, seed=1)
    x = net.conv(net.image, 8, 7, stride=2, activation="relu")
    x = net.max_pool(x, 3, 2)
    y = net.conv(net.conv(x, 8, 3, activation="relu"), 8, 3)
    x = net.activate(net.add(y, x), "relu")
    y = net.conv(net.conv(x, 12, 3, stride=2, activation="relu"), 12, 3)
    x = net.activate(net.add(y, net.conv(x, 12, 1, stride=2)), "relu")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 5))


def mobilenet_like() -> onnx.ModelProto:
    """Inverted residuals: depthwise and linear convolutions, ReLU6, odd sizes."""
    net = NetworkBuilder("mobilenet_like", resolution=14, batch_norms=False, seed=2)
    x = net.conv(net.image, 8, 3, stride=2, activation="relu6")
    x = inverted_residual(net, x, 12, expansion=1, kernel=5, stride=2)
    x = inverted_residual(net, x, 12, expansion=3, kernel=3, stride=1)
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 5))


def densenet_like() -> onnx.ModelProto:
    """Two dense blocks and a transition."""
    net = NetworkBuilder("densenet_like", resolution=16, batch_norms=False, seed=3)
    x = net.conv(net.image, 8, 3, stride=2, activation="relu")
    for block in range(2):
        if block:
            x = net.conv(net.norm(x, activation="relu"), net.channels(x) // 2, 1, normalize=False)
            x = net.average_pool(x, 2)
        for _ in range(2):
            x = net.concat([x, net.conv(net.norm(x, activation="relu"), 4, 3, normalize=False)])
    x = net.norm(x, activation="relu")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), 5))
