"""SLICE and DYNAMIC_UPDATE_SLICE at a place that the network computes.

Element i of a part that starts at s is element i + s of the whole, so that a slice gathers the
indices s + (0, 1, ...), axis by axis.  An update gathers the other way, i - s, and keeps what the
whole has where that is outside of the part.

A start is moved until the part lies inside of the whole.  LiteRT does so for DYNAMIC_UPDATE_SLICE;
it fails for a SLICE that reaches over the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import ir, relax

from .converter import Converter


def slice_at(converter: Converter, whole: ir.Expr, start: ir.Expr, sizes: Sequence[int]) -> ir.Expr:
    """The part of `sizes` that begins at `start`, integers of shape (rank,)."""
    emit = converter.bb.normalize
    for axis, (outer, inner) in enumerate(zip(converter.static_shape(whole), sizes, strict=True)):
        if inner < outer:
            begin = _begin(converter, start, axis, outer - inner)
            places = emit(relax.op.add(begin, _counted(inner, begin)))
            whole = emit(relax.op.take(whole, places, axis, mode="clip"))
    return whole


def update_at(converter: Converter, whole: ir.Expr, part: ir.Expr, start: ir.Expr) -> ir.Expr:
    """The whole with the part in it, from `start` on, integers of shape (rank,)."""
    emit = converter.bb.normalize
    outers, inners = converter.static_shape(whole), converter.static_shape(part)
    inside: ir.Expr | None = None
    for axis, (outer, inner) in enumerate(zip(outers, inners, strict=True)):
        if inner == outer:
            continue
        begin = _begin(converter, start, axis, outer - inner)
        places = emit(relax.op.subtract(_counted(outer, begin), begin))
        zero, last = (relax.const(value, begin.ty.dtype) for value in (0, inner - 1))
        within = emit(relax.op.minimum(emit(relax.op.maximum(places, zero)), last))
        part = emit(relax.op.take(part, within, axis, mode="clip"))
        covered = [outer if other == axis else 1 for other in range(len(outers))]
        here = emit(relax.op.reshape(emit(relax.op.equal(places, within)), covered))
        inside = here if inside is None else emit(relax.op.logical_and(inside, here))
    return part if inside is None else relax.op.where(inside, part, whole)


def _begin(converter: Converter, start: ir.Expr, axis: int, last: int) -> ir.Expr:
    """Where the part begins along an axis, of shape (1,), from 0 to `last`."""
    emit = converter.bb.normalize
    begin = emit(relax.op.strided_slice(start, [0], [axis], [axis + 1]))
    zero, bound = (relax.const(value, begin.ty.dtype) for value in (0, last))
    return emit(relax.op.minimum(emit(relax.op.maximum(begin, zero)), bound))


def _counted(length: int, like: ir.Expr) -> ir.Expr:
    return relax.const(np.arange(length, dtype=str(like.ty.dtype)), like.ty.dtype)
