"""A convolutional autoencoder: convolutions with a stride of two, and their mirror image."""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

WIDTHS = (8, 16, 32, 64)


def autoencoder(
    *, channels: int = 3, resolution: int = 96, widths: tuple[int, ...] = WIDTHS, **options: Any
) -> onnx.ModelProto:
    """From "image" [1, C, H, W] -> an image [1, C, H, W]; H and W are multiples of 16."""
    net = NetworkBuilder("autoencoder", channels=channels, resolution=resolution, **options)
    x = net.image
    for width in widths:
        x = net.conv(x, width, 3, stride=2, activation="relu")
    for width in reversed(widths[:-1]):
        x = net.transposed_conv(x, width, 3, stride=2, activation="relu")
    return net.build_maps([net.transposed_conv(x, channels, 3, stride=2)])
