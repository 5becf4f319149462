"""ResNet-8 of MLPerf Tiny's image classification: three stages of one basic block, 16 to 64 wide.

Banbury et al., "MLPerf Tiny Benchmark", NeurIPS Datasets and Benchmarks 2021.
"""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

WIDTHS = (16, 32, 64)


def resnet8(*, classes: int = 10, **options: Any) -> onnx.ModelProto:
    """From "image" [1, 3, 32, 32] -> "logits" [1, classes]."""
    net = NetworkBuilder("resnet8", resolution=32, **options)
    x = net.conv(net.image, WIDTHS[0], 3, activation="relu")
    for stage, width in enumerate(WIDTHS):
        stride = 2 if stage else 1
        y = net.conv(x, width, 3, stride=stride, activation="relu")
        y = net.conv(y, width, 3)
        shortcut = net.conv(x, width, 1, stride=stride) if stage else x
        x = net.activate(net.add(y, shortcut), "relu")
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), classes))
