"""PyTorch's operators on integers and truth values that TVM's importer takes for floating point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

Converter = Callable[[Any, Any], relax.Var]


def _not(node: Any, importer: Any) -> relax.Var:
    """``logical_not(input)``: what is zero."""
    (data,) = importer.retrieve_args(node)
    if str(data.ty.dtype) == "bool":
        return importer.block_builder.emit(relax.op.logical_not(data))
    return importer.block_builder.emit(relax.op.equal(data, relax.const(0, data.ty.dtype)))


def _any(node: Any, importer: Any) -> relax.Var:
    """``any(input, dim=None, keepdim=False)`` by a maximum, which is not of truth values."""
    given = dict(zip(("input", "dim", "keepdim"), node.args)) | node.kwargs
    data, emit = importer.env[given["input"]], importer.block_builder.emit
    if str(data.ty.dtype) != "bool":
        data = emit(relax.op.not_equal(data, relax.const(0, data.ty.dtype)))
    data = emit(relax.op.astype(data, "int8"))
    most = relax.op.max(data, given.get("dim"), keepdims=given.get("keepdim", False))
    return emit(relax.op.astype(emit(most), "bool"))


def _clamp(*bounds: str) -> Converter:
    """``clamp(input, min=None, max=None)`` and its like; integers have no infinity for a bound."""

    def convert(node: Any, importer: Any) -> relax.Var:
        data, *numbers = importer.retrieve_args(node)
        given = dict(zip(bounds, numbers)) | node.kwargs
        emit = importer.block_builder.emit
        for name, function in (("min", relax.op.maximum), ("max", relax.op.minimum)):
            if given.get(name) is not None:
                data = emit(function(data, relax.const(given[name], data.ty.dtype)))
        return data

    return convert


INTEGERS: dict[str, Converter] = {
    "any.dim": _any,
    "any.dims": _any,
    "any.default": _any,
    "clamp.default": _clamp("min", "max"),
    "clamp_max.default": _clamp("max"),
    "clamp_min.default": _clamp("min"),
    "logical_not.default": _not,
}
