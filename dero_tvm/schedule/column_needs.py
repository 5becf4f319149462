"""Which columns of an operand a column of any row of the result reads.

Images are asked about lying on their side: columns are then rows, which operators know about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relax_passes.operators import Signature, TensorSpec, operator_of
from relax_passes.operators.concat import Concat
from relax_passes.operators.conv2d import Conv2D
from relax_passes.operators.elementwise import BinaryOperator
from relax_passes.operators.joined import Joined
from relax_passes.operators.pool2d import Pool2D
from relax_passes.operators.resize2d import Resize2D
from relax_passes.operators.resize_bilinear import ResizeBilinear
from relax_passes.operators.row_to_row import RowToRow
from relax_passes.operators.shortcut_conv2d import ShortcutConv2D

_TURNED = (Conv2D, Joined, Pool2D, Resize2D, ResizeBilinear, ShortcutConv2D)
_BY_PIXEL = (BinaryOperator, RowToRow, Concat)
_PAIRS = ("strides", "dilation", "pool_size", "size", "scale")  # height, width
_EDGES = ("padding", "pool_padding")  # top, left, bottom, right


def needed_columns(signature: Signature, operand: int) -> list[tuple[int, int]] | None:
    """For each column of a result NHWC the half-open range of the operand's columns.

    None if it is not known of the operator, or the operand is no image.
    """
    operator = operator_of(signature.operator)
    image, output = signature.inputs[operand], signature.output
    if len(output.shape) != 4 or len(image.shape) != 4:
        return None
    if isinstance(operator, _TURNED):
        turned = _turned(signature)
        return [operator.needed_rows(turned, operand, x) for x in range(output.shape[2])]
    if not isinstance(operator, _BY_PIXEL):
        return None
    if isinstance(operator, Concat) and signature["axis"] % 4 != 3:
        return None
    return [(0, 1) if image.shape[2] == 1 else (x, x + 1) for x in range(output.shape[2])]


def _turned(signature: Signature) -> Signature:
    """The signature with height and width exchanged."""
    attrs: dict[str, Any] = dict(signature.attrs)
    for name in _PAIRS:
        if attrs.get(name) is not None:
            attrs[name] = (attrs[name][1], attrs[name][0])
    for name in _EDGES:
        if name in attrs:
            top, left, bottom, right = attrs[name]
            attrs[name] = (left, top, right, bottom)
    inputs = tuple(map(_side, signature.inputs))
    return Signature(signature.operator, inputs, _side(signature.output), attrs)


def _side(spec: TensorSpec) -> TensorSpec:
    if len(spec.shape) != 4:
        return spec
    batch, height, width, channels = spec.shape
    return replace(spec, shape=(batch, width, height, channels), pixel_stride=0)
