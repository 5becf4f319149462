"""Elements by their indices.

- layout: an axis is indexed where it lies;
- moves: always;
- selection: with a list of constant indices along one axis, `dero.take`;
- element sums: with constant indices along one axis;
- indices: bounded by the axes that they count through;
- places, which `SpellPlaces` asks for: constant ones;
- the network's description: channels that are shuffled.
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
from ...canonicalization.spell_places import READ_PLACES, KnownValues, along_axis, numbered
from ...ir.dataflow import shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.description import Shuffle
from ...reorganization.kept_operators import image_operand
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
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


@READERS.register("relax.gather_elements")
def _gather_elements(reader: RegionReader, call: Any) -> ElementSum:
    indices = reader.old.constant(call.args[1])
    if indices is None:
        raise NotLinear("takes elements that are computed")
    places = along_axis(call, indices.values.astype(np.int64))
    return reader.value(call.args[0]).moved(lambda a: a.ravel()[places])


@READERS.register("relax.gather_nd")
def _gather_nd_elements(reader: RegionReader, call: Any) -> ElementSum:
    """Along the first axis."""
    indices = reader.old.constant(call.args[1])
    if indices is None or indices.shape[-1] != 1 or int(call.attrs.batch_dims):
        raise NotLinear("takes elements that are computed")
    chosen = indices.values[..., 0].astype(np.int64)
    return reader.value(call.args[0]).moved(lambda a: a.take(chosen, 0))


@READ_PLACES.register("relax.gather_elements")
def _gather_elements_places(call: Any, known: KnownValues) -> np.ndarray | None:
    indices = known(call.args[1])
    return None if indices is None else along_axis(call, indices)


@READ_PLACES.register("relax.gather_nd")
def _gather_nd_places(call: Any, known: KnownValues) -> np.ndarray | None:
    indices, batch = known(call.args[1]), int(call.attrs.batch_dims)
    if indices is None:
        return None
    elements = numbered(call)
    if batch == 0:
        return elements[tuple(np.moveaxis(indices, -1, 0))]
    flat = zip(
        elements.reshape(-1, *elements.shape[batch:]),
        indices.reshape(-1, *indices.shape[batch:]),
    )
    parts = [part[tuple(np.moveaxis(places, -1, 0))] for part, places in flat]
    return np.stack(parts).reshape(shape_of(call))


@DESCRIPTION.register("dero.take")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    source = image_operand(description, name, data)
    shape, places = data.spec.shape, np.array(data.signature["places"])
    if len(shape) == 4 and data.signature["axis"] == 3:
        channels = np.arange(data.signature.inputs[0].channels)
        for groups in range(2, len(channels)):
            if len(channels) % groups == 0 and np.array_equal(
                places, channels.reshape(groups, -1).T.ravel()
            ):
                return description.add(Shuffle(name, (source,), shape[1:], groups))
    raise no_counterpart(name, data, " of what is no shuffle of channels")


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
