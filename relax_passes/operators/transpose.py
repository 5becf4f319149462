"""Permutation of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .gather import GatherOperator
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec


@register
class Transpose(GatherOperator):
    """Axis i of the result is axis ``axes[i]`` of `data`.

    The rows of the input run along its own axis 1, so a permutation that moves this axis into the
    row (NCHW to NHWC, say) needs many input rows, or all of an image, for every output row.
    """

    name = "transpose"
    defaults = {"axes": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = self.check_input(inputs)
        axes = attrs["axes"]
        if sorted(axes) != list(range(len(data.shape))):
            raise ValueError(f"transpose: {axes} is not a permutation of the axes of {data.shape}")
        return TensorSpec(tuple(data.shape[axis] for axis in axes), data.dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        axes = signature["axes"]
        return [indices[axes.index(axis)] for axis in range(len(axes))]
