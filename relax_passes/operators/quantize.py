"""Conversion between float32 and int8 or int16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import elementwise, fixed_point
from .element_map import ElementMap
from .fixed_point import ACTIVATIONS, type_limits
from .operand_checks import check_choices
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

ROUNDINGS = ("half_away", "half_even")


class _Conversion(ElementMap):
    """Base of the two conversions: one operand, element by element."""

    def types(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> tuple[str, str]:
        """What the operand has to be, and what the result is."""
        raise NotImplementedError

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 1:
            raise ValueError(f"{self.name} takes one tensor, got {inputs}")
        source, result = self.types(inputs, attrs)
        integer = result if source == "float32" else source
        if inputs[0].dtype != source or integer not in ACTIVATIONS:
            raise ValueError(f"{self.name} makes no {result} of {inputs[0].dtype}")
        if not attrs["scale"] > 0:
            raise ValueError(f"{self.name}: the scale must be positive, got {attrs['scale']}")
        low, high = type_limits(integer)
        if not low <= attrs["zero_point"] <= high:
            raise ValueError(f"{self.name}: the zero point {attrs['zero_point']} is not {integer}")
        return TensorSpec(inputs[0].shape, result)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return elementwise.in_place_arguments(signature)


@register
class Quantize(_Conversion):
    """float32 to int8, or to `dtype`: ``saturate(round(data / scale) + zero_point)``.

    Ties round away from zero (``half_away``, as in LiteRT) or to even (``half_even``, as in ONNX).
    NaN becomes `zero_point`.
    """

    name = "quantize"
    defaults = {"scale": REQUIRED, "zero_point": 0, "rounding": "half_away", "dtype": "int8"}

    def types(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> tuple[str, str]:
        return "float32", attrs["dtype"]

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        check_choices(self.name, attrs, rounding=ROUNDINGS)
        return super().infer(inputs, attrs)

    def element(self, signature: Signature | Mapping[str, Any], value: Any) -> Any:
        zero_point = signature["zero_point"]
        dtype = signature["dtype"]
        # of the rounded quotient
        low, high = (limit - zero_point for limit in type_limits(dtype))

        def f32(number: float) -> Any:
            return tirx.const(float(number), "float32")

        def rounded(quotient: Any) -> Any:
            # Limited first, so that the integer part fits an int32 and the rest of it is exact.
            # Comparisons with NaN are false, which leaves 0.
            positive = T.Select(quotient > f32(0), T.min(quotient, f32(high)), f32(0))
            limited = T.Select(quotient < f32(0), T.max(quotient, f32(low)), positive)
            return fixed_point.let("limited", limited, "float32", nearest)

        def nearest(limited: Any) -> Any:
            return fixed_point.let(
                "whole",
                T.cast(limited, "int32"),
                "int32",
                lambda whole: fixed_point.let(
                    "rest",
                    limited - T.cast(whole, "float32"),
                    "float32",
                    lambda rest: whole + carry(whole, rest),
                ),
            )

        def carry(whole: Any, rest: Any) -> Any:
            one, none = tirx.const(1, "int32"), tirx.const(0, "int32")
            if signature["rounding"] == "half_away":
                up, down = rest >= f32(0.5), rest <= f32(-0.5)
            else:
                odd = (whole & 1) != 0
                up = tirx.any(rest > f32(0.5), tirx.all(rest == f32(0.5), odd))
                down = tirx.any(rest < f32(-0.5), tirx.all(rest == f32(-0.5), odd))
            return T.Select(up, one, T.Select(down, tirx.const(-1, "int32"), none))

        quotient = value / f32(signature["scale"])
        result = fixed_point.let("quotient", quotient, "float32", rounded)
        return T.cast(result + zero_point, dtype)


@register
class Dequantize(_Conversion):
    """int8 or int16 to float32: ``(data - zero_point) * scale``."""

    name = "dequantize"
    defaults = {"scale": REQUIRED, "zero_point": 0}

    def types(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> tuple[str, str]:
        return inputs[0].dtype, "float32"

    def element(self, signature: Signature | Mapping[str, Any], value: Any) -> Any:
        difference = T.cast(value, "int32") - signature["zero_point"]
        return T.cast(difference, "float32") * tirx.const(signature["scale"], "float32")
