"""Chains of reshapes, transposes, slices and broadcasts, by where each element comes from.

Frameworks shuffle channels, repeat pixels and make blocks of pixels with chains through tensors of
five and six axes.  Element by element such a chain says the same as

- elements at constant places along each axis (`relax.take`),
- `dero.depth_to_space` or `dero.space_to_depth`, perhaps behind or before shuffled channels,

of which each needs few rows of its input for a row of its result.

- spelling: a chain whose ends are images, and whose tensors in between nothing else reads.

Does not handle: chains that mix images of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.fold_constants import permutation
from ...ir.dataflow import dtype_of, is_call, shape_of
from .. import make_call
from ..fixed_point import ACTIVATIONS

_TYPES = ("float32", "uint8", *ACTIVATIONS)
_LONGEST = 8  # operators of a chain
_MOST_ELEMENTS = 1 << 24  # whose moves are followed one by one
_LAYOUTS = {"NCHW": (0, 2, 3, 1), "NHWC": (0, 1, 2, 3)}  # axes of NHWC


_MOVES: dict[str, Callable[[Any, np.ndarray], np.ndarray]] = {
    "relax.permute_dims": lambda call, array: array.transpose(permutation(call)),
    "relax.broadcast_to": lambda call, array: np.broadcast_to(array, shape_of(call)),
    "relax.tile": lambda call, array: _tiled(array, shape_of(call)),
    **dict.fromkeys(
        ("relax.reshape", "relax.squeeze", "relax.expand_dims", "relax.flatten"),
        lambda call, array: array.reshape(shape_of(call)),
    ),
}


def _tiled(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeated along each axis, up to a shape of as many axes or more."""
    old = (*[1] * (len(shape) - array.ndim), *array.shape)
    return np.tile(array.reshape(old), [new // length for length, new in zip(old, shape)])


_MOVING = ("relax.permute_dims", "relax.broadcast_to", "relax.tile")  # more than a view


@SPELLINGS.register("relax.reshape", "relax.permute_dims")
def _by_elements(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """The chain that ends here, from the nearest image on that makes it one of the above."""
    rank, chain, data = len(shape_of(call)), [call], call.args[0]
    if rank not in (3, 4) or dtype_of(call) not in _TYPES:
        return None
    while len(chain) < _LONGEST and isinstance(data, relax.Var):
        if max(prod(shape_of(one)) for one in (data, chain[-1])) > _MOST_ELEMENTS:
            return None
        before = rewriter.old.definition(data)
        moves = any(is_call(move, *_MOVING) for move in chain)
        if moves and len(chain) > 1 and len(shape_of(data)) == rank:
            moved = _Moved.by(chain, shape_of(data))
            found = moved.written(rewriter, data)
            if found is not None:
                return found
        name = getattr(getattr(before, "op", None), "name", "")
        if name not in _MOVES or not rewriter.old.sole_reader(data):
            return None
        chain.append(before)
        data = before.args[0]
    return None


@dataclass(frozen=True)
class _Moved:
    """For every element of the result, where it comes from: an index along each axis."""

    shape: tuple[int, ...]  # of the data
    sources: tuple[np.ndarray, ...]

    @staticmethod
    def by(chain: list[Any], shape: tuple[int, ...]) -> _Moved:
        """What the calls do, of which the last comes first."""
        elements = np.arange(np.prod(shape, dtype=int)).reshape(shape)
        for call in reversed(chain):
            elements = _MOVES[call.op.name](call, elements)
        return _Moved(shape, tuple(np.unravel_index(elements, shape)))

    def written(self, rewriter: SpellingRewriter, data: relax.Var) -> relax.Expr | None:
        """The data, moved by few operators; None if none of them does it."""
        places = [_along(source, axis) for axis, source in enumerate(self.sources)]
        if all(place is not None for place in places):
            return _taken(rewriter, rewriter.new(data), dict(enumerate(places)))
        if len(self.shape) != 4:
            return None
        for axes in _LAYOUTS.values():
            image = _Moved(
                tuple(self.shape[axis] for axis in axes),
                tuple(self.sources[axis].transpose(axes) for axis in axes),
            )
            for blocks in (_to_space, _to_depth):
                found = blocks(image)
                if found is not None:
                    return _blocks(rewriter, rewriter.new(data), axes, *found)
        return None


def _along(source: np.ndarray, axis: int) -> np.ndarray | None:
    """Indices that depend on the index along one axis alone; None if they do not."""
    places = source[tuple(slice(None) if a == axis else slice(1) for a in range(source.ndim))]
    return places.ravel() if (source == places).all() else None


def _taken(rewriter: SpellingRewriter, data: relax.Expr, places: dict[int, Any]) -> relax.Expr:
    """`data` at the places along each axis."""
    for axis, place in places.items():
        if not np.array_equal(place, np.arange(shape_of(data)[axis])):
            indices = relax.const(np.ascontiguousarray(place, "int32"))
            data = rewriter.emit(relax.op.take(data, indices, axis))
    return data


_Blocks = tuple[str, tuple[int, int], np.ndarray]
"""The operator, rows and columns of a block, and the order in which it makes the channels."""


def _to_space(moved: _Moved) -> _Blocks | None:
    """Every pixel becomes a block: the order says which channel its pixels' channels are."""
    n, y, x, c = moved.sources
    _, height, width, channels = y.shape
    block = _quotients((height, width), moved.shape[1:3])
    if block is None or channels * block[0] * block[1] != moved.shape[3]:
        return None
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[:, None]
    order = c[0, : block[0], : block[1]]
    same = (y == rows // block[0]) & (x == columns // block[1])
    same &= c == order[rows[:, :, 0] % block[0], columns[:, 0] % block[1]]
    if not (same & (n == np.arange(len(n))[:, None, None, None])).all():
        return None
    return "depth_to_space", block, order.ravel()


def _to_depth(moved: _Moved) -> _Blocks | None:
    """Every block becomes a pixel: the order says what of a block each channel is."""
    n, y, x, c = moved.sources
    _, height, width, channels = y.shape
    block = _quotients(moved.shape[1:3], (height, width))
    if block is None or moved.shape[3] * block[0] * block[1] != channels:
        return None
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[:, None]
    down, right, depth = y[0, 0, 0], x[0, 0, 0], c[0, 0, 0]
    same = (y == rows * block[0] + down) & (x == columns * block[1] + right) & (c == depth)
    if not (same & (n == np.arange(len(n))[:, None, None, None])).all():
        return None
    return "space_to_depth", block, (down * block[1] + right) * moved.shape[3] + depth


def _quotients(larger: tuple[int, ...], smaller: tuple[int, ...]) -> tuple[int, int] | None:
    """How often an image is in another, in rows and columns; None if it is not larger."""
    (height, rows), (width, columns) = (divmod(a, b) for a, b in zip(larger, smaller))
    return None if rows or columns or height * width < 2 else (height, width)


def _blocks(
    rewriter: SpellingRewriter,
    data: relax.Expr,
    axes: tuple[int, ...],
    operator: str,
    block: tuple[int, int],
    order: np.ndarray,
) -> relax.Expr:
    """The operator on an image as the chain had it, with its channels shuffled where need be."""
    first = axes != (0, 1, 2, 3)
    image = rewriter.emit(relax.op.permute_dims(data, axes)) if first else data
    channels = len(order) // (block[0] * block[1])
    by_channel = np.arange(len(order)).reshape(channels, *block).transpose(1, 2, 0).ravel()
    crd = operator == "depth_to_space" and np.array_equal(order, by_channel)
    crd |= operator == "space_to_depth" and np.array_equal(order, np.argsort(by_channel))
    attributes = {"block_size": block, "order": "CRD" if crd else "DCR"}
    if operator == "depth_to_space" and not crd:
        image = _taken(rewriter, image, {3: order})
    image = rewriter.emit(make_call(operator, [image], **attributes))
    if operator == "space_to_depth" and not crd:
        image = _taken(rewriter, image, {3: order})
    return relax.op.permute_dims(image, np.argsort(axes).tolist()) if first else image
