"""How normalizations read and write int8: as real numbers, with the scales in their attributes."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point
from .quantize import ROUNDINGS, Quantize
from .signature import Signature, TensorSpec

INPUT = {"input_scale": None, "input_zero_point": 0}
OUTPUT = {
    "output_scale": None,
    "output_zero_point": 0,
    "rounding": "half_even",
    "minimum": None,
    "maximum": None,
}
"""Attributes: scales are None where the tensor is float32; ``minimum`` and ``maximum`` are in the
units of the result."""


def check_types(name: str, data: TensorSpec, attrs: dict[str, Any]) -> None:
    """Raises ``ValueError`` for data that is neither float32 nor int8 with a scale."""
    if data.dtype not in ("float32", "int8"):
        raise ValueError(f"{name} takes float32 or int8, got {data.dtype}")
    if (data.dtype == "int8") != (attrs["input_scale"] is not None):
        raise ValueError(f"{name}: int8 data has an input_scale, float32 has none")
    if attrs.get("rounding", ROUNDINGS[0]) not in ROUNDINGS:
        raise ValueError(f"{name}: rounding must be one of {ROUNDINGS}, got {attrs['rounding']!r}")


def output_type(attrs: dict[str, Any]) -> str:
    """int8 if there is a scale of the result."""
    return "float32" if attrs["output_scale"] is None else "int8"


def real(signature: Signature, element: Any) -> Any:
    """TIR float32 expression: what an element of the data stands for."""
    if signature["input_scale"] is None:
        return element
    difference = T.cast(element, "int32") - signature["input_zero_point"]
    return T.cast(difference, "float32") * f32(signature["input_scale"])


def written(signature: Signature, value: Any) -> Any:
    """TIR expression: the element of the result that stands for a float32 `value`."""
    bounds = signature["minimum"], signature["maximum"]
    if signature["output_scale"] is None:
        return fixed_point.clamp(value, *bounds, "float32")
    quantization = {
        "scale": signature["output_scale"],
        "zero_point": signature["output_zero_point"],
        "rounding": signature["rounding"],
        "dtype": "int8",
    }
    quantized = Quantize().element(quantization, value)
    return fixed_point.saturate(T.cast(quantized, "int32"), *bounds)


def f32(number: float) -> Any:
    """TIR float32 constant."""
    return tirx.const(float(number), "float32")
