"""ConvNeXt: depthwise convolutions of 7 x 7, norms over the channels of a pixel, wide middles.

Liu et al., "A ConvNet for the 2020s", CVPR 2022; blocks, stem and downsampling as there, the widths
those of a microcontroller.
"""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

WIDTHS = (16, 32, 64)
DEPTH = 2
EXPANSION = 4


def convnext(
    *, resolution: int = 64, widths: tuple[int, ...] = WIDTHS, classes: int = 10, **options: Any
) -> onnx.ModelProto:
    """From "image" [1, 3, H, W] -> "logits" [1, classes]."""
    net = NetworkBuilder("convnext", resolution=resolution, **options)

    def plain(x: str, width: int, kernel: int, **options: object) -> str:
        return net.conv(x, width, kernel, normalize=False, bias=True, **options)  # type: ignore[arg-type]

    x = net.data_norm(plain(net.image, widths[0], 4, stride=4, padding=0), "layer")
    for stage, width in enumerate(widths):
        if stage:
            x = plain(net.data_norm(x, "layer"), width, 2, stride=2, padding=0)
        for _ in range(DEPTH):
            y = net.data_norm(plain(x, width, 7, depthwise=True), "layer")
            y = plain(y, EXPANSION * width, 1, activation="gelu")
            x = net.add(x, net.scale(plain(y, width, 1)))
    return net.build(net.dense(net.flatten(net.global_average_pool(x)), classes))
