"""What type rules ask of operands and attributes, and how they refuse others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .fixed_point import ACTIVATIONS
from .signature import TensorSpec

NUMBERS = ("float32", *ACTIVATIONS)


def single_operand(
    operator: str,
    inputs: tuple[TensorSpec, ...],
    types: Collection[str] = NUMBERS,
    *,
    image: bool = False,
) -> TensorSpec:
    """The only operand; ValueError if there are others, it has another type or is no image."""
    if len(inputs) != 1 or inputs[0].dtype not in types:
        *others, last = types
        kinds = f"{', '.join(others)} or {last}" if others else last
        found = ", ".join(spec.described for spec in inputs)
        raise ValueError(f"{operator} takes one tensor of {kinds}, got {found}")
    if image and len(inputs[0].shape) != 4:
        raise ValueError(f"{operator} takes NHWC data, got shape {inputs[0].shape}")
    return inputs[0]


def check_choices(operator: str, attrs: Mapping[str, Any], **allowed: Collection[str]) -> None:
    """Raises ValueError if an attribute is none of those that are `allowed`."""
    for name, values in allowed.items():
        if attrs[name] not in values:
            one_of = ", ".join(values)
            raise ValueError(f"{operator}: {name} must be one of {one_of}, got {attrs[name]!r}")
