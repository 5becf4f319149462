"""Style transfer: an image through a narrow residual network, with norms over whole images.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
ECCV 2016, with the instance norms of Ulyanov, Vedaldi and Lempitsky, 2016, or group norms.
"""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

NORMS = ("instance", "group")


def style_transfer(
    *, norm: str = "instance", resolution: int = 96, width: int = 8, blocks: int = 2, **options: Any
) -> onnx.ModelProto:
    """From "image" [1, 3, H, W] to an image [1, 3, H, W]; `norm` is one of `NORMS`."""
    if norm not in NORMS:
        raise ValueError(f"norm {norm!r} is none of {', '.join(NORMS)}")
    net = NetworkBuilder("style_transfer", resolution=resolution, **options)

    def layer(x: str, channels: int, kernel: int, stride: int = 1, relu: bool = True) -> str:
        x = net.conv(x, channels, kernel, stride=stride, normalize=False)
        return net.data_norm(x, norm, activation="relu" if relu else None)

    x = layer(net.image, width, 9)
    x = layer(x, 2 * width, 3, stride=2)
    x = layer(x, 4 * width, 3, stride=2)
    for _ in range(blocks):
        x = net.add(x, layer(layer(x, 4 * width, 3), 4 * width, 3, relu=False))
    x = layer(net.upsample(x, 2), 2 * width, 3)
    x = layer(net.upsample(x, 2), width, 3)
    return net.build_maps([net.conv(x, 3, 9, normalize=False, bias=True)])
