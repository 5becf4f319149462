"""Operators that slide over images or give them another size."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.campaigns.random_onnx.graph import Graph, Unfit


def pool(g: Graph, x: str) -> str:
    """Windows with every attribute that the operator set has."""
    axes = g.rank(x) - 2
    if axes < 1:
        raise Unfit("no image")
    kind = g.random.choice(("MaxPool", "AveragePool") * 3 + ("LpPool",))
    kernel = [g.random.choice((1, 2, 2, 3, 3, 4)) for _ in range(axes)]
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": [g.random.choice((1, 1, 2, 3, 5)) for _ in range(axes)],
    }
    dilated = kind == "MaxPool" and g.opset >= 10 or g.opset >= 19
    dilations = [g.random.choice((1, 2)) for _ in range(axes)]
    if g.chance(0.25):
        attributes["auto_pad"] = g.random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    else:
        attributes["pads"] = [g.random.randrange(size) for size in kernel * 2]
        if dilated and g.chance(0.3):
            attributes["dilations"] = dilations
    if kind != "LpPool" and g.opset >= 10 or g.opset >= 18:
        attributes["ceil_mode"] = g.random.choice((0, 0, 1))
    if kind == "AveragePool":
        attributes["count_include_pad"] = g.random.choice((0, 1))
    _refuse_larger_windows(g.shape(x)[2:], attributes)
    return g.emit(kind, x, **attributes)


def _refuse_larger_windows(lengths: tuple[int, ...], attributes: dict[str, Any]) -> None:
    """A window beyond the padded image by a stride or more has no result."""
    axes = len(lengths)
    pads = attributes.get("pads", [0] * 2 * axes)
    dilations = attributes.get("dilations", [1] * axes)
    for axis, length in enumerate(lengths):
        span = (attributes["kernel_shape"][axis] - 1) * dilations[axis] + 1
        beyond = span - length - sum(pads[axis::axes])
        rule = attributes.get("auto_pad", "")
        if "SAME" not in rule and beyond >= attributes["strides"][axis]:
            raise Unfit("a window larger than the image")


def same_pool(g: Graph, x: str) -> str:
    """A pool that keeps height and width."""
    axes = g.rank(x) - 2
    if axes < 1:
        raise Unfit("no image")
    kind = g.random.choice(("MaxPool", "AveragePool"))
    size = g.random.choice((2, 3, 3, 5))
    before = g.random.choice((size // 2, g.random.randrange(size)))
    pads = [before] * axes + [size - 1 - before] * axes
    attributes = {} if kind == "MaxPool" else {"count_include_pad": g.random.choice((0, 1))}
    return g.emit(kind, x, kernel_shape=[size] * axes, pads=pads, **attributes)


def global_pool(g: Graph, x: str) -> str:
    """The mean or the maximum of each channel."""
    if g.rank(x) < 3:
        raise Unfit("no image")
    return g.emit(g.random.choice(("GlobalAveragePool", "GlobalMaxPool")), x)


def resize(g: Graph, x: str) -> str:
    """Nearest, linear or cubic; by factors or to a size; Upsample where the opset still has it."""
    if g.rank(x) != 4:
        raise Unfit("no image")
    n, c, h, w = g.shape(x)
    if g.opset < 10:
        scales = g.constant([1, 1, g.random.choice((1, 2, 3)), g.random.choice((1, 2))])
        return g.emit("Upsample", x, scales, mode=g.random.choice(("nearest", "linear")))
    mode = g.random.choice(("nearest", "nearest", "linear", "linear", "cubic"))
    coordinates = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    coordinates += ["half_pixel_symmetric"] * (g.opset >= 19)
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": g.random.choice(coordinates),
    }
    if mode == "nearest":
        kinds = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        attributes["nearest_mode"] = g.random.choice(kinds)
    elif mode == "cubic":
        attributes["cubic_coeff_a"] = g.random.choice((-0.75, -0.5))
    roi = g.constant([]) if g.opset < 13 else ""
    if g.chance(0.5):
        factors = g.random.choice((1, 2, 3, 0.5, 1.7)), g.random.choice((1, 2, 3, 2.3))
        return g.emit("Resize", x, roi, g.constant([1, 1, *factors]), **attributes)
    size = g.random.randint(1, 2 * h + 1), g.random.randint(1, 2 * w + 1)
    scales = g.constant(np.zeros(0)) if g.opset < 13 else ""
    return g.emit("Resize", x, roi, scales, g.integers(n, c, *size), **attributes)
