"""Strided slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .gather import GatherOperator
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec


@register
class Slice(GatherOperator):
    """``data[begin[0]:end[0]:strides[0], ...]``, one entry an axis; strides are 1 or more.

    Bounds are absolute: ``0 <= begin < end <= length``.  `strides` None stands for all 1.
    """

    name = "slice"
    defaults = {"begin": REQUIRED, "end": REQUIRED, "strides": None}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = self.check_input(inputs)
        begin, end = attrs["begin"], attrs["end"]
        strides = _strides(attrs, len(data.shape))
        if not len(begin) == len(end) == len(strides) == len(data.shape):
            raise ValueError(
                f"slice: begin {begin}, end {end} and strides {strides} do not have one entry for "
                f"each axis of {data.shape}"
            )
        for first, last, stride, length in zip(begin, end, strides, data.shape):
            if not (0 <= first < last <= length and stride >= 1):
                raise ValueError(
                    f"slice: {first}:{last}:{stride} is not a forward slice of an axis of {length}"
                )
        shape = tuple(-(-(e - b) // s) for b, e, s in zip(begin, end, strides))
        return TensorSpec(shape, data.dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        strides = _strides(signature.attrs, len(indices))
        scaled = [i if s == 1 else i * s for i, s in zip(indices, strides)]
        return [i + b if b else i for i, b in zip(scaled, signature["begin"])]


def _strides(attrs: Any, rank: int) -> tuple[int, ...]:
    return (1,) * rank if attrs["strides"] is None else attrs["strides"]
