"""Padding with a constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .fixed_point import type_limits
from .gather import GatherOperator
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec


@register
class Pad(GatherOperator):
    """Surrounds `data` with `value`: ``pad_before[i]`` and ``pad_after[i]`` elements on axis i.

    `value` is in the units of the tensor's type: for integers the quantized number.
    """

    name = "pad"
    defaults = {"pad_before": REQUIRED, "pad_after": REQUIRED, "value": 0}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = self.check_input(inputs)
        before, after = attrs["pad_before"], attrs["pad_after"]
        if len(before) != len(data.shape) or len(after) != len(data.shape):
            raise ValueError(
                f"pad: {before} and {after} do not have one entry for each axis of {data.shape}"
            )
        if min((*before, *after), default=0) < 0:
            raise ValueError(f"pad: amounts must not be negative, got {before} and {after}")
        value = attrs["value"]
        if data.dtype != "float32":
            low, high = type_limits(data.dtype)
            if not (value == int(value) and low <= value <= high):
                raise ValueError(f"pad: the value {value} is not an {data.dtype} number")
        shape = tuple(b + length + a for b, length, a in zip(before, data.shape, after))
        return TensorSpec(shape, data.dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        return [
            index - before if before else index
            for index, before in zip(indices, signature["pad_before"])
        ]

    def outside(self, signature: Signature) -> tuple[tuple[bool, bool], ...]:
        return tuple(
            (before > 0, after > 0)
            for before, after in zip(signature["pad_before"], signature["pad_after"])
        )

    def fill(self, signature: Signature) -> Any:
        return signature["value"]
