"""Elements by their indices.

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
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.select_operators import SELECTION, SelectionRewriter
from ...ir.dataflow import shape_of
from ...shortcuts.channel_sums import NotLinear
from .registry import Refusal


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
