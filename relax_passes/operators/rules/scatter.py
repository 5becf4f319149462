"""Elements that are written into a tensor.

- element sums: what is overwritten, or added to, at constant indices;
- places, which `SpellPlaces` asks for: constant ones;
- indices: bounded by the axes that they count through.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...canonicalization.bound_indices import INDEXED
from ...canonicalization.element_sums import ElementSum, total
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.spell_places import (
    WRITTEN_PLACES,
    KnownValues,
    along_axis,
    numbered,
    reduction_of,
    rounds,
    updates_of,
    written_places,
)
from ...ir.dataflow import shape_of
from ...shortcuts.channel_sums import NotLinear


@WRITTEN_PLACES.register("relax.slice_scatter")
def _slice(call: Any, _known: KnownValues) -> np.ndarray:
    axis = int(call.attrs.axis) % len(shape_of(call))
    begin, end, step = (_number(bound) for bound in call.args[2:])
    slices = (*[slice(None)] * axis, slice(begin, end, step))
    return numbered(call)[slices]


@WRITTEN_PLACES.register("relax.scatter_elements")
def _elements(call: Any, known: KnownValues) -> np.ndarray | None:
    indices = known(call.args[1])
    return None if indices is None else along_axis(call, indices)


@WRITTEN_PLACES.register("relax.scatter_nd")
def _nd(call: Any, known: KnownValues) -> np.ndarray | None:
    indices = known(call.args[1])
    if indices is None:
        return None
    return numbered(call)[tuple(np.moveaxis(indices, -1, 0))]


@READERS.register("relax.slice_scatter", "relax.scatter_elements", "relax.scatter_nd")
def _written(reader: RegionReader, call: Any) -> ElementSum:
    """The data with elements of the updates in their places, or added there."""
    targets = written_places(call, reader.old)
    if targets is None:
        raise NotLinear("is written to places that are computed, or outside of a tensor")
    reduction = reduction_of(call)
    if reduction not in ("update", "add"):
        raise NotLinear(f"is written with the reduction {reduction}")
    value, new = reader.value(call.args[0]), reader.value(updates_of(call))
    shape = value.shape
    if targets.shape != new.shape:
        raise NotLinear("is written in another shape")
    parts: list[ElementSum] = []
    for index in rounds(targets.ravel(), prod(shape)):
        reader.limit(value.cost * (len(parts) + 1), len(value.terms) * (len(parts) + 1))
        present = (index >= 0).reshape(shape)
        part = new.moved(lambda a: a.ravel()[np.maximum(index, 0)].reshape(shape))  # noqa: B023
        parts.append(part.only(present))
        if reduction == "update":
            if parts[1:]:
                raise NotLinear("is written to one place twice")
            value = value.only(~present)
    return total([value, *parts])


def _number(bound: Any) -> int:
    value = getattr(bound, "value", bound)
    return int(getattr(value, "value", value))


@INDEXED.register("relax.scatter_elements")
def _elements_lengths(call: Any) -> list[int]:
    return [shape_of(call.args[0])[call.attrs.axis]]


@INDEXED.register("relax.scatter_nd")
def _nd_lengths(call: Any) -> list[int]:
    return list(shape_of(call.args[0])[: shape_of(call.args[1])[-1]])


@INDEXED.register("relax.index_put")
def _put_lengths(call: Any) -> list[int]:
    return list(shape_of(call.args[0]))
