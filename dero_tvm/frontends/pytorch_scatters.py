"""PyTorch's operators that write elements into a tensor.

TVM's importer wants an index of every axis for `index_put`, and does not know some of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

_REDUCTIONS = {"sum": "add", "prod": "mul", "amin": "min", "amax": "max"}


def index_put(node: Any, importer: Any) -> relax.Var:
    """``index_put(input, indices, values, accumulate=False)``; an axis without an index is whole.

    The indexed axes are brought to the front, where `scatter_nd` counts through them.
    """
    data, indices, values, *rest = importer.retrieve_args(node)
    accumulate = rest[0] if rest else node.kwargs.get("accumulate", False)
    emit = importer.block_builder.emit
    shape = [int(length) for length in importer.shape_of(data)]
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    given = [indices[axis] for axis in axes]
    if any(str(index.ty.dtype) == "bool" for index in given):
        raise ValueError("places that are computed as truth values are not supported; use where")
    common = list(np.broadcast_shapes(*(tuple(map(int, i.ty.shape)) for i in given)))
    others = [axis for axis in range(len(shape)) if axis not in axes]
    # As PyTorch has them: the axes of the indices stand where the indexed ones stood, if those are
    # neighbours, and in front otherwise.
    before = axes[0] if axes == list(range(axes[0], axes[-1] + 1)) else 0
    rest_lengths = [shape[axis] for axis in others]
    written = [*rest_lengths[:before], *common, *rest_lengths[before:]]
    values = emit(relax.op.broadcast_to(values, written))
    to_front = [*range(before, before + len(common)), *range(before)]
    values = _permuted(values, [*to_front, *range(len(to_front), len(written))], emit)
    places = [emit(relax.op.astype(emit(relax.op.broadcast_to(i, common)), "int64")) for i in given]
    order = [*axes, *others]
    changed = emit(
        relax.op.scatter_nd(
            _permuted(data, order, emit),
            emit(relax.op.stack(places, axis=len(common))),
            values,
            "add" if accumulate else "update",
        )
    )
    return _permuted(changed, list(np.argsort(order)), emit)


def _permuted(data: Any, order: list[int], emit: Callable[[Any], Any]) -> Any:
    if list(order) == list(range(len(order))):
        return data
    return emit(relax.op.permute_dims(data, [int(axis) for axis in order]))


def _scatter(reduction: str | None) -> Callable[[Any, Any], relax.Var]:
    """``scatter(input, dim, index, src)`` and its like; what `src` has beyond `index` is left."""

    def convert(node: Any, importer: Any) -> relax.Var:
        data, axis, index, source, *rest = importer.retrieve_args(node)
        emit = importer.block_builder.emit
        kind = reduction
        if kind is None:
            asked = rest[0] if rest else node.kwargs.get("reduce")
            if asked not in _REDUCTIONS or not node.kwargs.get("include_self", True):
                raise ValueError(f"the reduction {asked} of some elements is not supported")
            kind = _REDUCTIONS[asked]
        lengths = [int(length) for length in importer.shape_of(index)]
        if not isinstance(source, relax.Expr):
            number = relax.const(source, data.ty.dtype)
            source = emit(relax.op.full(lengths, number, data.ty.dtype))
        elif [int(length) for length in importer.shape_of(source)] != lengths:
            axes = list(range(len(lengths)))
            source = emit(relax.op.strided_slice(source, axes, [0] * len(axes), lengths))
        return emit(relax.op.scatter_elements(data, index, source, axis, kind))

    return convert


SCATTERS: dict[str, Callable[[Any, Any], relax.Var]] = {
    "index_put.default": index_put,
    "scatter.src": _scatter("update"),
    "scatter.value": _scatter("update"),
    "scatter_add.default": _scatter("add"),
    "scatter_reduce.two": _scatter(None),
}
