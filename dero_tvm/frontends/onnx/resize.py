"""Resize by scales that TVM's importer would not pass on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm import relax
from tvm.ir import GenericConst

from ..resize_scale import is_lost, refusal

_ROUNDINGS = {
    "floor": "floor",
    "ceil": "ceil",
    "round_prefer_floor": "round_half_down",
    "round_prefer_ceil": "round_half_up",
}


def refuse_lost_scales(inputs: Sequence[relax.Expr | None], attrs: Mapping[str, Any]) -> None:
    """Raises ``ValueError`` if the importer's Resize would differ from ONNX'."""
    scales = inputs[2] if len(inputs) > 2 else None
    if not isinstance(scales, GenericConst) or inputs[0] is None:
        return
    coordinates = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = None
    if attrs.get("mode", b"nearest") == b"nearest":
        rounding = _ROUNDINGS.get(attrs.get("nearest_mode", b"round_prefer_floor").decode())
    for length, scale in zip(map(int, inputs[0].ty.shape), scales.value.numpy()):
        if is_lost(length, scale, coordinates=coordinates, rounding=rounding):
            raise ValueError(refusal(length, scale))
