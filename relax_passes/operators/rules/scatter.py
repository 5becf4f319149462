"""Elements that are written into a tensor, at constant indices.

- element sums: what is overwritten, or added to.

Does not handle: anything else; of scatters that are left no C is generated.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...canonicalization.element_sums import ElementSum, total
from ...canonicalization.region_reader import READERS, RegionReader
from ...ir.dataflow import shape_of
from ...shortcuts.channel_sums import NotLinear

_Places = Callable[[np.ndarray], np.ndarray]  # what the updates overwrite in an array of its shape


@READERS.register("relax.slice_scatter")
def _slice(reader: RegionReader, call: Any) -> ElementSum:
    data, updates, *bounds = call.args
    axis = int(call.attrs.axis) % len(shape_of(call))
    begin, end, step = (_number(bound) for bound in bounds)
    slices = (*[slice(None)] * axis, slice(begin, end, step))
    return _written(reader, data, updates, lambda a: a[slices])


@READERS.register("relax.scatter_elements")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    indices = _constant(reader, call.args[1])
    axis = int(call.attrs.axis) % indices.ndim
    # Other axes may be longer in the data.
    part = tuple(
        slice(None) if other == axis else slice(length)
        for other, length in enumerate(indices.shape)
    )
    adds = _adds(call)
    return _written(
        reader,
        call.args[0],
        call.args[2],
        lambda a: np.take_along_axis(a[part], indices, axis),
        adds=adds,
    )


@READERS.register("relax.scatter_nd")
def _nd(reader: RegionReader, call: Any) -> ElementSum:
    indices = tuple(np.moveaxis(_constant(reader, call.args[1]), -1, 0))
    adds = _adds(call)
    return _written(reader, call.args[0], call.args[2], lambda a: a[indices], adds=adds)


def _written(
    reader: RegionReader, data: Any, updates: Any, places: _Places, *, adds: bool = False
) -> ElementSum:
    """`data` with elements of `updates` in their places, or added there."""
    value, new = reader.value(data), reader.value(updates)
    shape = value.shape
    try:
        targets = places(np.arange(prod(shape)).reshape(shape))
    except IndexError:
        raise NotLinear("is written outside of a tensor") from None
    if targets.shape != new.shape:
        raise NotLinear("is written in another shape")
    parts: list[ElementSum] = []
    for index in _rounds(targets.ravel(), prod(shape)):
        reader.limit(value.cost * (len(parts) + 1), len(value.terms) * (len(parts) + 1))
        present = (index >= 0).reshape(shape)
        part = new.moved(lambda a: a.ravel()[np.maximum(index, 0)].reshape(shape))  # noqa: B023
        parts.append(part.only(present))
        if not adds:
            if parts[1:]:
                raise NotLinear("is written to one place twice")
            value = value.only(~present)
    return total([value, *parts])


def _rounds(targets: np.ndarray, size: int) -> list[np.ndarray]:
    """For every place the index that is written to it, or -1: first, second and further ones."""
    order = np.argsort(targets, kind="stable")
    ordered = targets[order]
    begins = np.searchsorted(ordered, ordered)
    times = np.arange(len(ordered)) - begins
    found = []
    for time in range(int(times.max(initial=-1)) + 1):
        index = np.full(size, -1)
        index[ordered[times == time]] = order[times == time]
        found.append(index)
    return found


def _adds(call: Any) -> bool:
    reduction = str(call.attrs.reduction)
    if reduction not in ("update", "add"):
        raise NotLinear(f"is written with the reduction {reduction}")
    return reduction == "add"


def _constant(reader: RegionReader, indices: Any) -> np.ndarray:
    constant = reader.old.constant(indices)
    if constant is None:
        raise NotLinear("is written to places that are computed")
    return constant.values.astype(np.int64)


def _number(bound: Any) -> int:
    value = getattr(bound, "value", bound)
    return int(getattr(value, "value", value))
