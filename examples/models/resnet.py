"""ResNet-18, -34 and -50: He, Zhang, Ren, Sun, "Deep Residual Learning", CVPR 2016, table 1.

ResNet-50 has its stride in the 3x3 convolution, as the common implementations do.
"""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # in each stage, by depth
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4  # of a bottleneck's output


def resnet(
    depth: int, *, resolution: int = 224, classes: int = 1000, **options: Any
) -> onnx.ModelProto:
    """ResNet of `depth` 18, 34 or 50: "image" [1, 3, resolution, resolution] -> "logits"."""
    if depth not in BLOCKS:
        raise ValueError(f"ResNet-{depth} is none of {', '.join(map(str, BLOCKS))}")
    block = _bottleneck_block if depth >= 50 else _basic_block
    net = NetworkBuilder(f"resnet{depth}", resolution=resolution, **options)
    x = net.conv(net.image, 64, 7, stride=2, activation="relu")
    x = net.max_pool(x, 3, 2)
    for stage, (blocks, width) in enumerate(zip(BLOCKS[depth], WIDTHS, strict=True)):
        for index in range(blocks):
            x = block(net, x, width, stride=2 if stage > 0 and index == 0 else 1)
    x = net.flatten(net.global_average_pool(x))
    return net.build(net.dense(x, classes))


def _basic_block(net: NetworkBuilder, x: str, width: int, stride: int) -> str:
    y = net.conv(x, width, 3, stride=stride, activation="relu")
    y = net.conv(y, width, 3)
    return net.activate(net.add(y, _shortcut(net, x, width, stride)), "relu")


def _bottleneck_block(net: NetworkBuilder, x: str, width: int, stride: int) -> str:
    y = net.conv(x, width, 1, activation="relu")
    y = net.conv(y, width, 3, stride=stride, activation="relu")
    y = net.conv(y, width * EXPANSION, 1)
    return net.activate(net.add(y, _shortcut(net, x, width * EXPANSION, stride)), "relu")


def _shortcut(net: NetworkBuilder, x: str, channels: int, stride: int) -> str:
    """The block's input, projected where its shape differs from the block's output."""
    if stride == 1 and net.channels(x) == channels:
        return x
    return net.conv(x, channels, 1, stride=stride)
