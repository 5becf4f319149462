"""Quantized PyTorch programs, as PyTorch's flow for exported programs (PT2E) writes them.

    quantize_per_tensor, quantize_per_channel      ->  quantize, and a clip to a smaller range
    dequantize_per_tensor, dequantize_per_channel  ->  dequantize

A layer stands between them in floating point, as in ONNX's QDQ form.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax


def register_operators() -> None:
    """Tell PyTorch these operators, which it knows only where something has imported them."""
    try:
        importlib.import_module("torch.ao.quantization.fx._decomposed")
    except ImportError:
        pass  # then the program's reader names the operator that is not known


def _quantize(node: Any, importer: Any) -> relax.Var:
    data, scale, zero_point, axis, least, most, dtype = _arguments(node, importer)
    emit = importer.block_builder.emit
    stored = emit(relax.op.quantize(data, scale, zero_point, axis, dtype))
    whole = np.iinfo(dtype)
    if (least, most) == (whole.min, whole.max):
        return stored
    return emit(relax.op.clip(stored, least, most))


def _dequantize(node: Any, importer: Any) -> relax.Var:
    data, scale, zero_point, axis, *_ = _arguments(node, importer)
    asked = node.kwargs.get("out_dtype")
    real = "float32" if asked is None else _name_of(asked)
    return importer.block_builder.emit(relax.op.dequantize(data, scale, zero_point, axis, real))


def _arguments(node: Any, importer: Any) -> tuple[Any, ...]:
    """Data, scale, zero point, axis, least and greatest integer, and their type.

    Operators on a whole tensor have no axis, and their scales are numbers or tensors of one.
    """
    data, scale, zero_point, *rest = importer.retrieve_args(node)
    per_channel = "per_channel" in node.target.__name__
    axis = rest.pop(0) if per_channel else 0
    least, most = (_number(bound) for bound in rest[:2])
    dtype = _name_of(rest[2])
    if zero_point is None:
        zero_point = 0
    scale = _constant(scale, "float32", importer, scalar=not per_channel)
    zero_point = _constant(zero_point, "int32", importer, scalar=not per_channel)
    return data, scale, zero_point, axis, least, most, dtype


def _constant(value: Any, dtype: str, importer: Any, *, scalar: bool) -> relax.Expr:
    """A number, or a tensor of the program's, as a scale or zero point."""
    if not isinstance(value, relax.Expr):
        return relax.const(value, dtype)
    emit = importer.block_builder.emit
    value = emit(relax.op.astype(value, dtype))
    return emit(relax.op.reshape(value, ())) if scalar else value


def _number(bound: Any) -> int:
    if isinstance(bound, relax.Expr):
        raise ValueError("its range is computed; quantize with a fixed range")
    return int(bound)


def _name_of(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


QUANTIZATION: dict[str, Callable[[Any, Any], relax.Var]] = {
    f"{function}_{kind}": convert
    for function, convert in (("quantize", _quantize), ("dequantize", _dequantize))
    for kind in ("per_tensor.default", "per_tensor.tensor", "per_channel.default")
}
