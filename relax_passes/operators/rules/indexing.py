"""Elements by their indices.

- spelling: one element of an axis is a slice of it, and a reshape;
- spelling: axes that are mirrored or repeated, elements at constant indices;
- layout: an axis is indexed where it lies;
- moves: always;
- selection: with a list of constant indices along one axis, `dero.take`;
- element sums: with constant indices along one axis;
- indices: bounded by the axes that they count through.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.bound_indices import INDEXED
from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.select_operators import SELECTION, SelectionRewriter
from ...ir.dataflow import shape_of
from ...shortcuts.channel_sums import NotLinear
from .. import spec_of
from ..indexing import leading_shape
from .registry import Refusal


@SPELLINGS.register("relax.take")
def _take_only(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """One element of an axis: all of it, or a slice."""
    indices = rewriter.old.constant(call.args[1])
    if indices is None or indices.values.size != 1 or call.attrs.axis is None:
        return None
    data, axis = rewriter.new(call.args[0]), int(call.attrs.axis)
    length, index = shape_of(call.args[0])[axis], int(indices.values.item())
    if length != 1:
        index += length if index < 0 else 0
        if not 0 <= index < length:
            return None
        data = rewriter.emit(relax.op.strided_slice(data, [axis], [index], [index + 1]))
    return relax.op.reshape(data, shape_of(call))


@SPELLINGS.register("relax.flip")
def _mirrored(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    axis = int(call.attrs.axis) % len(shape_of(call))
    places = np.arange(shape_of(call)[axis], dtype="int32")[::-1]
    return relax.op.take(rewriter.new(call.args[0]), relax.const(places.copy()), axis)


@SPELLINGS.register("relax.tile")
def _tiled(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """A tensor without new axes, axis by axis."""
    before, after = shape_of(call.args[0]), shape_of(call)
    if len(before) != len(after):
        return None
    result = rewriter.new(call.args[0])
    for axis, (length, longer) in enumerate(zip(before, after)):
        if length != longer:
            places = relax.const(np.arange(longer, dtype="int32") % np.int32(length))
            result = rewriter.emit(relax.op.take(result, places, axis))
    return result


@LAYOUT.register("relax.take")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    places, axis = _constant_places(rewriter, call)
    data, order = rewriter.regular(call.args[0])
    new = relax.op.take(data, relax.const(places), order.index(axis), call.attrs.mode)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


MOVES.register("relax.take")(always)


@SELECTION.register("relax.take")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    places, axis = _constant_places(rewriter, call)
    data = spec_of(call.args[0].ty)
    if axis < len(leading_shape(data)) and np.any(np.diff(places) < 0):
        raise Refusal(f"the indices of its rows, along axis {axis}, do not ascend")
    operands = [rewriter.new(call.args[0]), relax.const(places)]
    return rewriter.dero("take", operands, axis=axis, places=tuple(int(p) for p in places))


def _constant_places(rewriter: Any, call: Any) -> tuple[np.ndarray, int]:
    """The indices, int32, and the axis.  Raises `Refusal` for any but a list of constants."""
    indices = rewriter.old.constant(call.args[1])
    if indices is None or call.attrs.axis is None:
        raise Refusal("its indices are computed, or count through all axes")
    if indices.values.ndim != 1:
        raise Refusal(f"its indices have {indices.values.ndim} axes")
    shape = shape_of(call.args[0])
    axis = int(call.attrs.axis) % len(shape)
    values = indices.values.astype(np.int64)
    places = np.where(values < 0, values + shape[axis], values).astype("int32")
    if not values.size or places.min() < 0 or places.max() >= shape[axis]:
        raise Refusal(f"its indices leave the {shape[axis]} elements of axis {axis}")
    return places, axis


@READERS.register("relax.take")
def _take_elements(reader: RegionReader, call: Any) -> ElementSum:
    indices = reader.old.constant(call.args[1])
    if indices is None or call.attrs.axis is None:
        raise NotLinear("takes elements that are computed")
    chosen = indices.values.astype(np.int64)
    axis = int(call.attrs.axis)
    return reader.value(call.args[0]).moved(lambda a: a.take(chosen, axis))


@READERS.register("relax.gather_nd")
def _gather_nd_elements(reader: RegionReader, call: Any) -> ElementSum:
    """Along the first axis."""
    indices = reader.old.constant(call.args[1])
    if indices is None or indices.shape[-1] != 1 or int(call.attrs.batch_dims):
        raise NotLinear("takes elements that are computed")
    chosen = indices.values[..., 0].astype(np.int64)
    return reader.value(call.args[0]).moved(lambda a: a.take(chosen, 0))


@INDEXED.register("relax.take")
def _take_lengths(call: Any) -> list[int] | None:
    if call.attrs.mode != "fast":
        return None
    shape = shape_of(call.args[0])
    return [prod(shape)] if call.attrs.axis is None else [shape[call.attrs.axis]]


@INDEXED.register("relax.gather_elements")
def _gather_elements_lengths(call: Any) -> list[int]:
    return [shape_of(call.args[0])[call.attrs.axis]]


@INDEXED.register("relax.gather_nd")
def _gather_nd_lengths(call: Any) -> list[int]:
    """Of the axes that the last axis of the indices counts through."""
    first = int(call.attrs.batch_dims)
    return list(shape_of(call.args[0])[first : first + shape_of(call.args[1])[-1]])


@INDEXED.register("relax.index_tensor")
def _index_tensor_lengths(call: Any) -> list[int]:
    return list(shape_of(call.args[0]))
