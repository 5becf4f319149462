"""Resize: sizes beside empty scales, and scales that TVM's importer would not pass on."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import Any

from tvm import relax
from tvm.ir import GenericConst

from relax_passes.operators.resize2d import ONNX_ROUNDINGS

from ..resize_scale import refuse_lost_scales


def drop_empty_scales(inputs: MutableSequence[relax.Expr | None]) -> None:
    """Leaves out scales without elements, beside which exporters to opset 11 write sizes."""
    scales = inputs[2] if len(inputs) > 2 else None
    if isinstance(scales, GenericConst) and scales.value.numpy().size == 0:
        inputs[2] = None


def refuse_misread(inputs: Sequence[relax.Expr | None], attrs: Mapping[str, Any]) -> None:
    """Raises ``ValueError`` if the importer's Resize would differ from ONNX'."""
    scales = inputs[2] if len(inputs) > 2 else None
    if not isinstance(scales, GenericConst) or inputs[0] is None:
        return
    coordinates = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = None
    if attrs.get("mode", b"nearest") == b"nearest":
        rounding = ONNX_ROUNDINGS.get(attrs.get("nearest_mode", b"round_prefer_floor").decode())
    lengths = [int(length) for length in inputs[0].ty.shape]
    refuse_lost_scales(lengths, scales.value.numpy(), coordinates=coordinates, rounding=rounding)
