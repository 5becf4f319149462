"""Elements by their indices.

- spelling: of an axis with one element, a reshape;
- element sums: with constant indices along one axis;
- indices: bounded by the axes that they count through.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.bound_indices import INDEXED
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.region_reader import READERS, RegionReader
from ...ir.dataflow import shape_of
from ...shortcuts.channel_sums import NotLinear


@SPELLINGS.register("relax.take")
def _take_only(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """One element of an axis that has one."""
    indices = rewriter.old.constant(call.args[1])
    if indices is None or indices.values.size != 1 or call.attrs.axis is None:
        return None
    if shape_of(call.args[0])[int(call.attrs.axis)] != 1:
        return None
    return relax.op.reshape(rewriter.new(call.args[0]), shape_of(call))


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
