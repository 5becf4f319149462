"""Operators that move elements, and reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.campaigns.random_onnx.graph import Graph, Unfit


def move(g: Graph, x: str) -> str:
    """One of them."""
    return g.random.choice(_MOVES)(g, x)


def _transpose(g: Graph, x: str) -> str:
    axes = list(range(g.rank(x)))
    g.random.shuffle(axes)
    return g.emit("Transpose", x, perm=axes)


def _reshape(g: Graph, x: str) -> str:
    elements, first = int(np.prod(g.shape(x))), g.shape(x)[0]
    part = g.random.choice([n for n in range(1, elements + 1) if elements % n == 0])
    shapes = [(first, -1), (0, -1), (part, -1), (1, part, -1, 1), (1, 1, part, -1)]
    return g.emit("Reshape", x, g.integers(*g.random.choice(shapes)))


def _flatten(g: Graph, x: str) -> str:
    return g.emit("Flatten", x, axis=g.random.randint(0, g.rank(x)))


def pad(g: Graph, x: str) -> str:
    """Every mode; images mostly along height and width."""
    modes = ["constant", "constant", "reflect", "edge"] + ["wrap"] * (g.opset >= 19)
    mode, shape = g.random.choice(modes), g.shape(x)
    spatial = len(shape) == 4 and g.chance(0.7)

    def amount(axis: int) -> int:
        if (spatial and axis < 2) or g.chance(0.4):
            return 0
        return g.random.randint(0, 2 if mode in ("constant", "edge") else min(2, shape[axis] - 1))

    amounts = [amount(axis) for axis in (*range(len(shape)), *range(len(shape)))]
    value = g.random.choice((None, 0.0, 1.5, -2.0)) if mode == "constant" else None
    if g.opset < 11:
        return g.emit("Pad", x, pads=amounts, mode=mode, value=value or 0.0)
    operands = [g.integers(*amounts), *([] if value is None else [g.constant(value)])]
    return g.emit("Pad", x, *operands, mode=mode)


def _slice(g: Graph, x: str) -> str:
    axis = g.random.randrange(g.rank(x))
    length = g.shape(x)[axis]
    begin = g.random.randrange(length)
    end, step = g.random.randint(begin + 1, length), g.random.choice((1, 1, 2, 3))
    if g.chance(0.2):
        begin, end, step = length - 1, -(2**31), -g.random.choice((1, 2))
    if g.opset < 10:
        if step < 1:
            raise Unfit("no steps in this operator set")
        return g.emit("Slice", x, starts=[begin], ends=[end], axes=[axis])
    begin -= length * g.chance(0.3)
    return g.emit("Slice", x, *(g.integers(value) for value in (begin, end, axis, step)))


def split(g: Graph, x: str) -> str:
    """Two parts, joined again in some way."""
    axis = g.random.randrange(g.rank(x))
    length = g.shape(x)[axis]
    if length < 2:
        raise Unfit("too short")
    halves = length % 2 == 0 and g.chance(0.6)
    first = length // 2 if halves else g.random.randint(1, length - 1)
    sizes = (first, length - first)
    if g.opset < 13:
        a, b = g.emit_several("Split", 2, x, axis=axis, split=sizes)
    elif halves and g.opset >= 18:
        a, b = g.emit_several("Split", 2, x, axis=axis, num_outputs=2)
    else:
        a, b = g.emit_several("Split", 2, x, g.integers(*sizes), axis=axis)
    if halves and g.chance(0.6):
        return g.emit(g.random.choice(("Add", "Mul", "Sub", "Max")), a, b)
    return g.emit("Concat", b, a, axis=axis)


def _unsqueeze(g: Graph, x: str) -> str:
    axis = g.random.randint(0, g.rank(x))
    if g.opset < 13:
        return g.emit("Unsqueeze", x, axes=[axis])
    return g.emit("Unsqueeze", x, g.integers(axis))


def _squeeze(g: Graph, x: str) -> str:
    ones = [axis for axis, length in enumerate(g.shape(x)) if length == 1]
    if not ones or g.rank(x) < 2:
        raise Unfit("nothing to squeeze")
    axis = g.random.choice(ones)
    if g.opset < 13:
        return g.emit("Squeeze", x, axes=[axis])
    return g.emit("Squeeze", x, g.integers(axis))


def _gather(g: Graph, x: str) -> str:
    axis = g.random.randrange(g.rank(x))
    length = g.shape(x)[axis]
    indices = g.numbers.integers(-length, length, g.random.choice(((), (2,), (3,), (1, 2))))
    return g.emit("Gather", x, g.constant(indices, "int64"), axis=axis)


def _tile(g: Graph, x: str) -> str:
    times = [1] * g.rank(x)
    times[g.random.randrange(len(times))] = 2
    return g.emit("Tile", x, g.integers(*times))


def _expand(g: Graph, x: str) -> str:
    return g.emit(
        "Expand",
        x,
        g.integers(*(n if n > 1 else g.random.choice((1, 2, 3)) for n in g.shape(x))),
    )


def _blocks(g: Graph, x: str) -> str:
    if g.rank(x) != 4:
        raise Unfit("no image")
    if g.chance(0.5):
        return g.emit("SpaceToDepth", x, blocksize=2)
    order = {"mode": g.random.choice(("DCR", "CRD"))} if g.opset >= 11 else {}
    return g.emit("DepthToSpace", x, blocksize=2, **order)


def shuffle(g: Graph, x: str) -> str:
    """The channels of groups, taken in turn."""
    if g.rank(x) != 4:
        raise Unfit("no image")
    n, c, h, w = g.shape(x)
    groups = g.random.choice([k for k in range(1, c + 1) if c % k == 0])
    y = g.emit("Reshape", x, g.integers(n, groups, c // groups, h, w))
    y = g.emit("Transpose", y, perm=[0, 2, 1, 3, 4])
    return g.emit("Reshape", y, g.integers(n, c, h, w))


_MOVES: Sequence[Callable[[Graph, str], str]] = (
    *(_transpose, _transpose, _reshape, _flatten, pad, pad, pad, _slice, _slice, split, split),
    *(_unsqueeze, _squeeze, _gather, _tile, _expand, _blocks, shuffle),
)

_KINDS = ("Mean",) * 3 + ("Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp", "Prod")


def reduction(g: Graph, x: str, axes: Sequence[int] | None = None, keep: bool | None = None) -> str:
    """Of any kind over any axes, also over a single element."""
    rank = g.rank(x)
    kind = "Mean" if axes else g.random.choice(_KINDS)
    axes = axes or g.random.sample(range(rank), g.random.randint(1, rank))
    axes = [axis - rank * g.chance(0.3) for axis in axes]
    keepdims = int(g.chance(0.6) if keep is None else keep)
    if g.opset >= 18 or (kind == "Sum" and g.opset >= 13):
        return g.emit(f"Reduce{kind}", x, g.integers(*axes), keepdims=keepdims)
    return g.emit(f"Reduce{kind}", x, axes=axes, keepdims=keepdims)
