"""Operators with weights: convolutions, transposed ones, matrix products, normalisations."""

from __future__ import annotations

from tests.campaigns.random_onnx.graph import Graph, Unfit


def convolution(g: Graph, x: str) -> str:
    """Any kernel, stride, dilation, padding, group; depthwise with multipliers too."""
    axes, channels = _spatial_axes(g, x), g.shape(x)[1]
    kernel = [g.random.choice((1, 2, 3, 3, 4, 5)) for _ in range(axes)]
    attributes = {
        "strides": [g.random.choice((1, 1, 2, 3, 6)) for _ in range(axes)],
        "dilations": [g.random.choice((1, 1, 1, 2, 3)) for _ in range(axes)],
    }
    if g.chance(0.25):
        attributes["auto_pad"] = g.random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
        if attributes["auto_pad"] != "VALID":
            attributes["dilations"] = [1] * axes  # ONNX Runtime refuses or differs
    else:
        attributes["pads"] = [g.random.randint(0, size) for size in kernel * 2]
    return _conv(g, x, _groups(g, channels), kernel, **attributes)


def same_convolution(g: Graph, x: str, filters: int | None = None) -> str:
    """A result of the data's height and width."""
    axes, channels = _spatial_axes(g, x), g.shape(x)[1]
    kernel = [g.random.choice((1, 3, 3, 5)) for _ in range(axes)]
    groups = channels if g.chance(0.25) and filters in (None, channels) else 1
    pads = [size // 2 for size in kernel] * 2
    return _conv(g, x, (groups, filters or channels), kernel, pads=pads)


def pointwise(g: Graph, x: str, filters: int, stride: int = 1) -> str:
    """A convolution of single pixels."""
    axes = _spatial_axes(g, x)
    return _conv(g, x, (1, filters), [1] * axes, strides=[stride] * axes)


def _conv(g: Graph, x: str, grouping: tuple[int, int], kernel: list[int], **attributes) -> str:
    groups, filters = grouping
    operands = [x, g.weights((filters, g.shape(x)[1] // groups, *kernel))]
    if g.chance(0.7):
        operands.append(g.vector((filters,)))
    return g.emit("Conv", *operands, group=groups, kernel_shape=kernel, **attributes)


def _groups(g: Graph, channels: int) -> tuple[int, int]:
    """Groups and filters: dense, grouped, or depthwise with 1 to 3 filters a channel."""
    if g.chance(0.3):
        return channels, channels * g.random.choice((1, 1, 2, 3))
    groups = g.random.choice([n for n in range(1, channels + 1) if channels % n == 0] + [1] * 4)
    return groups, groups * g.random.choice((1, 2, 3, 5))


def transposed_convolution(g: Graph, x: str) -> str:
    """ConvTranspose of any stride, dilation, padding and group."""
    axes, channels = _spatial_axes(g, x), g.shape(x)[1]
    kernel = [g.random.choice((1, 2, 3, 4)) for _ in range(axes)]
    strides = [g.random.choice((1, 2, 2, 3)) for _ in range(axes)]
    groups = channels if g.chance(0.25) else 1
    filters = g.random.choice((1, 2, 3))
    operands = [x, g.weights((channels, filters, *kernel))]
    if g.chance(0.5):
        operands.append(g.vector((filters * groups,)))
    return g.emit(
        "ConvTranspose",
        *operands,
        group=groups,
        kernel_shape=kernel,
        strides=strides,
        dilations=[g.random.choice((1, 1, 2)) for _ in range(axes)],
        pads=[g.random.choice((0, 0, 1)) for _ in range(2 * axes)],
        output_padding=[g.random.randrange(stride) for stride in strides],
    )


def dense(g: Graph, x: str) -> str:
    """Gemm of matrices in every form, MatMul of others."""
    units, depth = g.random.choice((1, 2, 5, 10)), g.shape(x)[-1]
    if g.rank(x) == 2 and g.chance(0.6):
        transposed = g.random.choice((0, 1, 1))
        weight = g.weights((units, depth) if transposed else (depth, units))
        operands = [x, weight]
        if g.chance(0.7):
            rows = g.shape(x)[0]
            shape = g.random.choice([(units,), (1, units), (1,), (rows, 1), (rows, units), ()])
            operands.append(g.vector(shape))
        factors = {"alpha": g.random.choice((1.0, 1.0, 0.5)), "beta": g.random.choice((1.0, 0.25))}
        return g.emit("Gemm", *operands, transB=transposed, **factors)
    y = g.emit("MatMul", x, g.weights((depth, units)))
    return g.emit("Add", y, g.vector((units,))) if g.chance(0.5) else y


def product(g: Graph, x: str) -> str:
    """A tensor times itself, transposed."""
    if g.rank(x) < 2:
        raise Unfit("no matrix")
    axes = list(range(g.rank(x)))
    axes[-1], axes[-2] = axes[-2], axes[-1]
    return g.emit("MatMul", x, g.emit("Transpose", x, perm=axes))


def normalisation(g: Graph, x: str) -> str:
    """One of the kinds; those over the data itself only where that has more than one element."""
    shape = g.shape(x)
    if len(shape) < 2:
        raise Unfit("no channels")
    kinds = ["batch", "batch", "batch"]
    if len(shape) == 4:
        kinds += ["local"] + ["instance"] * (shape[2] * shape[3] > 3)
    if g.opset >= 17 and shape[-1] > 3:
        kinds.append("layer")
    kind, channels = g.random.choice(kinds), (shape[1],)
    if kind == "local":
        return g.emit("LRN", x, size=g.random.choice((1, 3, 5)))
    if kind == "instance":
        scale, bias = g.vector(channels), g.vector(channels)
        return g.emit("InstanceNormalization", x, scale, bias)
    if kind == "layer":
        return g.emit("LayerNormalization", x, g.vector(shape[-1:]), g.vector(shape[-1:]))
    statistics = g.vector(channels), g.vector(channels, 0.3, 2.0)
    return g.emit("BatchNormalization", x, g.vector(channels), g.vector(channels), *statistics)


def _spatial_axes(g: Graph, x: str) -> int:
    if g.rank(x) < 3:
        raise Unfit("no image")
    return g.rank(x) - 2
