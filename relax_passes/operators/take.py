"""Elements at constant indices along one axis: shuffled channels, mirrored and repeated ones."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from .fixed_point import ACTIVATIONS
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@lru_cache(maxsize=64)
def _spans(places: tuple[int, ...]) -> list[tuple[int, int]]:
    """For each place, the lowest of it and those behind it, the highest of it and those before."""
    lowest = list(accumulate(reversed(places), min))[::-1]
    return list(zip(lowest, accumulate(places, max)))


@register
class Take(Operator):
    """Along `axis`, element i of the result is element ``indices[i]`` of `data`.

    `places` has the same numbers as the int32 operand ``indices``, for those who ask which rows are
    read.  Along an axis that numbers the rows they may come in any order: a row of the result then
    also needs the rows that others before it have read and others behind it will read, so that what
    is needed only moves on.  Of an image with mirrored borders those are few rows, of a mirrored
    image all.
    """

    name = "take"
    arguments = ("data", "indices")
    memory_class = OperatorClass.LAYOUT
    defaults = {"axis": REQUIRED, "places": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 2 or inputs[0].dtype not in ("float32", *ACTIVATIONS):
            raise ValueError(
                f"take takes data of float32, int8 or int16, and indices, got {inputs}"
            )
        data, indices = inputs
        indexing.check_rank(self.name, data)
        axis, places = attrs["axis"], attrs["places"]
        if not 0 <= axis < len(data.shape) or indices != TensorSpec((len(places),), "int32"):
            raise ValueError(f"take: {len(places)} places along axis {axis} do not fit {inputs}")
        if not places or min(places) < 0 or max(places) >= data.shape[axis]:
            raise ValueError(f"take: there are no places {places} in {data.shape[axis]} elements")
        shape = (*data.shape[:axis], len(places), *data.shape[axis + 1 :])
        return TensorSpec(shape, data.dtype)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        data, output = signature.inputs[0], signature.output
        leading = indexing.leading_indices(output, row)
        axis = signature["axis"]
        if axis >= len(leading):
            first = indexing.row_number(data, leading) if leading else 0
            return first, first + 1
        spans = _spans(signature["places"])
        ends = []
        for place in spans[leading[axis]]:
            leading[axis] = place
            ends.append(indexing.row_number(data, leading))
        return ends[0], ends[1] + 1

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, spec_out = signature.inputs[0], signature.output
        axis = signature["axis"]

        def element(X: Any, P: Any, row: Any, variables: Any, ring: Any) -> Any:
            indices = indexing.element_indices(spec_out, row, variables)
            indices[axis] = P[indices[axis]]
            return X[indexing.element_offset(spec, indices, ring)]

        @script.row_kernel(signature)
        def take_row(row, X, data_rows, P, O):
            for i, j, k in T.grid(*indexing.row_loops(spec_out)):
                O[indexing.offset_in_row(spec_out, (i, j, k))] = element(
                    X, P, row, (i, j, k), data_rows
                )

        return take_row
