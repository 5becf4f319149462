"""What is said of elements whose places are constants, as elements at places along one axis.

- spelling: mirrored, repeated, tiled and broadcast axes, slices that go backwards, borders that are
  mirrored, repeated or taken from the other end, and `gather_nd` along one axis, are `relax.take`;
  of one place, a slice;
- constants: sums along an axis.

A broadcast that an operator which broadcasts reads is left out: see `DecomposeComposites`.

Does not handle: new axes of a tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.fold_constants import CONSTANT_MOVES
from ...ir.constant_tensor import ConstantTensor
from ...ir.dataflow import dtype_of, shape_of

_BORDERS: dict[str, Any] = {  # NumPy's names
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


@SPELLINGS.register("relax.take")
def _taken(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """One place, or places that have several axes themselves."""
    indices = rewriter.old.constant(call.args[1])
    if indices is None or call.attrs.axis is None or not indices.values.size:
        return None
    shape, places = shape_of(call.args[0]), indices.values.astype(np.int64).ravel()
    axis = int(call.attrs.axis) % len(shape)
    places = np.where(places < 0, places + shape[axis], places)
    if places.min() < 0 or places.max() >= shape[axis]:
        return None  # what is refused, or clipped, later
    if len(places) == 1:
        first = int(places[0])
        data = rewriter.new(call.args[0])
        if shape[axis] > 1:
            data = rewriter.emit(relax.op.strided_slice(data, [axis], [first], [first + 1]))
        return relax.op.reshape(data, shape_of(call))
    if indices.values.ndim == 1:
        return None
    return relax.op.reshape(_at(rewriter, call.args[0], {axis: places}), shape_of(call))


@SPELLINGS.register("relax.gather_nd")
def _nd(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Indices that count through one axis, the first behind those of the batch."""
    indices, axis = rewriter.old.constant(call.args[1]), int(call.attrs.batch_dims)
    if indices is None or indices.values.ndim != 2 + axis or indices.values.shape[-1] != 1:
        return None
    if any(length != 1 for length in indices.values.shape[:axis]):
        return None
    shape, places = shape_of(call.args[0]), indices.values.astype(np.int64).ravel()
    places = np.where(places < 0, places + shape[axis], places)
    if not places.size or places.min() < 0 or places.max() >= shape[axis]:
        return None
    return _at(rewriter, call.args[0], {axis: places})


@SPELLINGS.register("relax.flip")
def _mirrored(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    axis = int(call.attrs.axis) % len(shape_of(call))
    return _at(rewriter, call.args[0], {axis: np.arange(shape_of(call)[axis])[::-1]})


@SPELLINGS.register("relax.strided_slice")
def _backwards(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """A slice with negative steps, and whatever steps its other axes have."""
    parameters = [rewriter.old.definition(arg) for arg in call.args[1:]]
    if len(parameters) < 4 or not all(isinstance(p, relax.Tuple) for p in parameters):
        return None
    lists = [[int(getattr(f, "value", f)) for f in p.fields] for p in parameters]
    if all(step > 0 for step in lists[3]):
        return None
    shape = shape_of(call.args[0])
    places = {
        axis % len(shape): np.arange(shape[axis])[slice(first, stop, step)]
        for axis, first, stop, step in zip(*lists)
    }
    lengths = [len(places.get(axis, range(length))) for axis, length in enumerate(shape)]
    if 0 in lengths or tuple(lengths) != tuple(shape_of(call)):
        return None
    return _at(rewriter, call.args[0], places)


@SPELLINGS.register("relax.tile")
def _tiled(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """A tensor without new axes, axis by axis."""
    before, after = shape_of(call.args[0]), shape_of(call)
    if len(before) != len(after):
        return None
    lengths = enumerate(zip(before, after))
    places = {axis: np.arange(longer) % length for axis, (length, longer) in lengths}
    return _at(rewriter, call.args[0], places)


@SPELLINGS.register("relax.repeat")
def _repeated(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    if call.attrs.axis is None:
        return None
    axis = int(call.attrs.axis) % len(shape_of(call))
    length = shape_of(call.args[0])[axis]
    places = np.arange(length).repeat(shape_of(call)[axis] // length)
    return _at(rewriter, call.args[0], {axis: places})


@SPELLINGS.register("relax.broadcast_to")
def _broadcast(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    """New axes, and the same element again and again along axes of one."""
    shape = shape_of(call)
    old = (*[1] * (len(shape) - len(shape_of(call.args[0]))), *shape_of(call.args[0]))
    data = rewriter.new(call.args[0])
    if len(old) > len(shape_of(call.args[0])):
        data = rewriter.emit(relax.op.reshape(data, old))
    pairs = enumerate(zip(old, shape))
    places = {axis: np.zeros(new) for axis, (length, new) in pairs if length != new}
    return _taken_from(rewriter, data, places)


@SPELLINGS.register("relax.nn.pad")
def _bordered(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Borders made of the image's own rows and columns."""
    mode = _BORDERS.get(call.attrs.pad_mode)
    width = [int(amount) for amount in call.attrs.pad_width]
    if mode is None or min(width) < 0:
        return None
    places = {}
    for axis, (length, before, after) in enumerate(
        zip(shape_of(call.args[0]), width[0::2], width[1::2])
    ):
        if mode == "reflect" and max(before, after) >= length:
            return None
        places[axis] = np.pad(np.arange(length), (before, after), mode)
    return _at(rewriter, call.args[0], places)


def _at(
    rewriter: SpellingRewriter, data: relax.Expr, places: Mapping[int, np.ndarray]
) -> relax.Expr:
    """An old tensor at the places along each axis."""
    return _taken_from(rewriter, rewriter.new(data), places)


def _taken_from(
    rewriter: SpellingRewriter, data: relax.Expr, places: Mapping[int, np.ndarray]
) -> relax.Expr:
    shape = shape_of(data)
    for axis, place in places.items():
        if not np.array_equal(place, np.arange(shape[axis])):
            indices = relax.const(np.ascontiguousarray(place, "int32"))
            data = rewriter.emit(relax.op.take(data, indices, axis))
    return data


@CONSTANT_MOVES.register("relax.cumsum")
def _sums(call: Any, value: ConstantTensor) -> ConstantTensor:
    """Running sums, in the type of the result."""
    attrs = call.attrs
    axis, array = attrs.axis, value.real().astype(dtype_of(call))
    sums = array.cumsum(None if axis is None else int(axis), dtype=dtype_of(call))
    if attrs.exclusive:
        sums = sums - (array.ravel() if axis is None else array)
    return ConstantTensor(sums.astype(dtype_of(call)))
