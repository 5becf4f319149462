"""Blocks of pixels that become the channels of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .depth_to_space import ORDERS, block_of, divided
from .gather import GatherOperator
from .operand_checks import NUMBERS, check_choices, single_operand
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec


@register
class SpaceToDepth(GatherOperator):
    """Every block of NHWC `data`, of ``block_size`` rows and columns, becomes a pixel.

    The inverse of `depth_to_space` with the same attributes: input channel c at row y and column x
    of the block becomes channel

    - ``DCR``: ``(y * columns + x) * C + c``, as LiteRT and ONNX have it
    - ``CRD``: ``(c * rows + y) * columns + x``, PyTorch's pixel unshuffle

    where C is the number of input channels.  uint8 is for modules whose integers are still to be
    made signed.
    """

    name = "space_to_depth"
    defaults = {"block_size": REQUIRED, "order": "DCR"}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = single_operand(self.name, inputs, ("uint8", *NUMBERS), image=True)
        check_choices(self.name, attrs, order=ORDERS)
        batch, height, width, channels = data.shape
        rows, columns = block_of(attrs)
        if min(rows, columns) < 1 or height % rows or width % columns:
            raise ValueError(
                f"space_to_depth: an image of {height} x {width} is no whole number of blocks of "
                f"{rows} x {columns}"
            )
        shape = (batch, height // rows, width // columns, channels * rows * columns)
        return TensorSpec(shape, data.dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        n, row, column, i = indices
        rows, columns = block_of(signature.attrs)
        if signature["order"] == "DCR":
            place, c = divided(i, signature.inputs[0].channels)
            y, x = divided(place, columns)
        else:
            rest, x = divided(i, columns)
            c, y = divided(rest, rows)
        return [n, row * rows + y, column * columns + x, c]
