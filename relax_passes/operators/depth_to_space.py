"""Channels that become the pixels of a block, and blocks of pixels that become channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm.script import tirx as T

from .gather import GatherOperator
from .operand_checks import NUMBERS, check_choices, single_operand
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

ORDERS = ("DCR", "CRD")  # ONNX' names: depth, column, row


@register
class DepthToSpace(GatherOperator):
    """Every pixel of NHWC `data` becomes a block of ``block_size`` rows and columns of pixels.

    Input channel ``i`` becomes channel ``c`` at row y and column x of the block, with

    - ``DCR``: ``i = (y * columns + x) * C + c``, as LiteRT has it
    - ``CRD``: ``i = (c * rows + y) * columns + x``, PyTorch's pixel shuffle

    where C is the number of output channels.  A number stands for a square block.  uint8 is for
    modules whose integers are still to be made signed.
    """

    name = "depth_to_space"
    defaults = {"block_size": REQUIRED, "order": "DCR"}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data, rows, columns = _image_and_block(self.name, inputs, attrs)
        batch, height, width, channels = data.shape
        if min(rows, columns) < 1 or channels % (rows * columns):
            raise ValueError(
                f"depth_to_space: {channels} channels do not fill blocks of {rows} x {columns}"
            )
        shape = (batch, height * rows, width * columns, channels // (rows * columns))
        return TensorSpec(shape, data.dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        n, y, x, c = indices
        (rows, columns), channels = block_of(signature.attrs), signature.output.channels
        (row, y), (column, x) = divided(y, rows), divided(x, columns)
        if signature["order"] == "DCR":
            return [n, row, column, (y * columns + x) * channels + c]
        return [n, row, column, (c * rows + y) * columns + x]


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
        data, rows, columns = _image_and_block(self.name, inputs, attrs)
        batch, height, width, channels = data.shape
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


def _image_and_block(
    name: str, inputs: tuple[TensorSpec, ...], attrs: Mapping[str, Any]
) -> tuple[TensorSpec, int, int]:
    """What both operators take: an image, and the rows and columns of a block."""
    data = single_operand(name, inputs, ("uint8", *NUMBERS), image=True)
    check_choices(name, attrs, order=ORDERS)
    return data, *block_of(attrs)


def block_of(attrs: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of a block."""
    size = attrs["block_size"]
    return (size, size) if isinstance(size, int) else size


def divided(index: Any, block: int) -> tuple[Any, Any]:
    """Quotient and remainder of an integer or an expression."""
    if isinstance(index, int):
        return divmod(index, block)
    if block == 1:
        return index, 0
    return T.truncdiv(index, block), T.truncmod(index, block)
