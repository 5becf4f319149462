"""U-Net: a contracting path, an expanding one, and concatenations between them.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
MICCAI 2015; here with padded convolutions, so that the result has the size of the image.
"""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

WIDTHS = (16, 32, 64, 128)
UPSAMPLINGS = ("transposed", "bilinear")


def unet(
    *,
    upsampling: str = "transposed",
    resolution: int = 128,
    widths: tuple[int, ...] = WIDTHS,
    classes: int = 1,
    **options: Any,
) -> onnx.ModelProto:
    """From "image" [1, 3, H, W] -> a map [1, classes, H, W].

    Images become larger by a transposed convolution of 2 x 2, or bilinearly, followed by a
    convolution of 1 x 1; `upsampling` is one of `UPSAMPLINGS`.
    """
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling {upsampling!r} is none of {', '.join(UPSAMPLINGS)}")
    net = NetworkBuilder("unet", resolution=resolution, **options)

    def convolved(x: str, width: int) -> str:
        for _ in range(2):
            x = net.conv(x, width, 3, activation="relu")
        return x

    x, skips = net.image, []
    for width in widths[:-1]:
        x = convolved(x, width)
        skips.append(x)
        x = net.max_pool(x, 2, 2)
    x = convolved(x, widths[-1])
    for width, skip in zip(reversed(widths[:-1]), reversed(skips)):
        if upsampling == "transposed":
            x = net.transposed_conv(x, width, 2, stride=2)
        else:
            x = net.conv(net.upsample_bilinear(x, 2), width, 1)
        x = convolved(net.concat([skip, x]), width)
    return net.build_maps([net.conv(x, classes, 1, normalize=False, bias=True)])
