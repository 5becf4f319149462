"""YOLOv5n, release 6: backbone, feature pyramid and raw detection heads (Ultralytics, 2021).

Cross-stage blocks with SiLU; the decoding of boxes, which has no weights, is left out.
"""

from __future__ import annotations

from typing import Any

import onnx

from .layers import NetworkBuilder

WIDTHS = (16, 32, 64, 128, 256)  # after each halving of the resolution
REPEATS = (1, 2, 3, 1)  # bottlenecks in the backbone's blocks
ANCHORS = 3  # boxes a pixel


def yolov5n(*, resolution: int = 416, classes: int = 80, **options: Any) -> onnx.ModelProto:
    """YOLOv5n: "image" [1, 3, resolution, resolution] -> three maps, strides 8, 16 and 32."""
    net = NetworkBuilder("yolov5n", resolution=resolution, **options)
    x = net.conv(net.image, WIDTHS[0], 6, stride=2, padding=2, activation="silu")
    levels = []
    for width, repeats in zip(WIDTHS[1:], REPEATS, strict=True):
        x = net.conv(x, width, 3, stride=2, activation="silu")
        x = _cross_stage(net, x, width, repeats, shortcut=True)
        levels.append(x)
    x = _pooling_pyramid(net, x)
    # Top down
    laterals = []
    for level in (levels[2], levels[1]):
        x = net.conv(x, net.channels(level), 1, activation="silu")
        laterals.append(x)
        x = net.concat([net.upsample(x, 2), level])
        x = _cross_stage(net, x, net.channels(level), 1, shortcut=False)
    # Bottom up
    maps = [x]
    for lateral in reversed(laterals):
        x = net.conv(x, net.channels(x), 3, stride=2, activation="silu")
        x = net.concat([x, lateral])
        x = _cross_stage(net, x, 2 * net.channels(lateral), 1, shortcut=False)
        maps.append(x)
    filters = ANCHORS * (classes + 5)
    return net.build_maps([net.conv(m, filters, 1, normalize=False, bias=True) for m in maps])


def _cross_stage(net: NetworkBuilder, x: str, width: int, repeats: int, *, shortcut: bool) -> str:
    """Half of the channels through bottlenecks, the other half past them."""
    y = net.conv(x, width // 2, 1, activation="silu")
    for _ in range(repeats):
        z = net.conv(y, width // 2, 1, activation="silu")
        z = net.conv(z, width // 2, 3, activation="silu")
        y = net.add(z, y) if shortcut else z
    past = net.conv(x, width // 2, 1, activation="silu")
    return net.conv(net.concat([y, past]), width, 1, activation="silu")


def _pooling_pyramid(net: NetworkBuilder, x: str) -> str:
    """Maxima over 1, 5, 9 and 13 pixels side by side."""
    width = net.channels(x)
    pools = [net.conv(x, width // 2, 1, activation="silu")]
    for _ in range(3):
        pools.append(net.max_pool(pools[-1], 5, 1))
    return net.conv(net.concat(pools), width, 1, activation="silu")
