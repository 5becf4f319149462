"""Channels that become the pixels of a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.script import tirx as T

from .fixed_point import ACTIVATIONS
from .gather import GatherOperator
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

ORDERS = ("DCR", "CRD")  # ONNX' names: depth, column, row


@register
class DepthToSpace(GatherOperator):
    """Every pixel of NHWC `data` becomes a block of ``block_size`` x ``block_size`` pixels.

    Input channel ``i`` becomes channel ``c`` at row y and column x of the block, with

    - ``DCR``: ``i = (y * block_size + x) * C + c``, as LiteRT has it
    - ``CRD``: ``i = (c * block_size + y) * block_size + x``, PyTorch's pixel shuffle

    where C is the number of output channels.  uint8 is for modules whose integers are still to be
    made signed.
    """

    name = "depth_to_space"
    defaults = {"block_size": REQUIRED, "order": "DCR"}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if len(inputs) != 1 or inputs[0].dtype not in ("float32", "uint8", *ACTIVATIONS):
            raise ValueError(
                f"depth_to_space takes one tensor of float32, int8 or int16, got {inputs}"
            )
        if len(inputs[0].shape) != 4:
            raise ValueError(f"depth_to_space takes NHWC data, got shape {inputs[0].shape}")
        if attrs["order"] not in ORDERS:
            raise ValueError(f"depth_to_space: order must be in {ORDERS}, got {attrs['order']!r}")
        batch, height, width, channels = inputs[0].shape
        block = attrs["block_size"]
        if block < 1 or channels % block**2:
            raise ValueError(
                f"depth_to_space: {channels} channels do not fill blocks of {block} x {block}"
            )
        shape = (batch, height * block, width * block, channels // block**2)
        return TensorSpec(shape, inputs[0].dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        n, y, x, c = indices
        block, channels = signature["block_size"], signature.output.channels
        (row, y), (column, x) = _divided(y, block), _divided(x, block)
        if signature["order"] == "DCR":
            return [n, row, column, (y * block + x) * channels + c]
        return [n, row, column, (c * block + y) * block + x]


def _divided(index: Any, block: int) -> tuple[Any, Any]:
    """Quotient and remainder of an integer or an expression."""
    if isinstance(index, int):
        return divmod(index, block)
    return T.truncdiv(index, block), T.truncmod(index, block)
