"""Resize in the form that TVM's importer reads as ONNX means it, or refused."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from relax_passes.operators.resize2d import ONNX_ROUNDINGS

from ..resize_scale import loses_scales, refuse_lost_scales
from ..scaled_bilinear import scaled_bilinear
from .old_operators import SHRINKING_ROUNDS_UP, reshaped, shape_of

Inputs = MutableSequence[Any]  # data, roi, scales, sizes
Convert = Callable[[Inputs, dict[str, Any]], relax.Expr]  # TVM's


def resize(
    inputs: Inputs, attrs: dict[str, Any], convert: Convert, builder: relax.BlockBuilder
) -> relax.Expr:
    """The converted operator; raises ``ValueError`` if TVM's would differ from ONNX'."""
    inputs = [*inputs, *[None] * (4 - len(inputs))]
    for index in (2, 3):  # exporters to opset 11 write empty scales beside sizes
        values = _values(inputs[index])
        if values is not None and values.size == 0:
            inputs[index] = None
    _state_all_axes(inputs, attrs)
    if len(shape_of(inputs[0])) == 3:
        return _along_time(inputs, attrs, convert, builder)
    scales = _values(inputs[2])
    if attrs.get("nearest_mode") == SHRINKING_ROUNDS_UP:
        assert scales is not None
        return _in_two_steps(inputs, attrs, scales, convert, builder)
    sizes = _result(inputs)
    if sizes is not None:
        lengths = shape_of(inputs[0])
        if len(sizes) == len(lengths) and sizes[:2] != lengths[:2]:
            raise ValueError("resizing the batch or the channels is not supported")
        corners = attrs.get("coordinate_transformation_mode") == b"align_corners"
        if corners and 1 in sizes[2:] and min(sizes, default=0) > 0:
            return _first_pixels(inputs, attrs, sizes, convert, builder)
    if scales is not None:
        scaled = _with_scale(inputs, attrs, scales, builder)
        if scaled is not None:
            return scaled
    return convert(inputs, attrs)


def _along_time(
    inputs: Inputs, attrs: dict[str, Any], convert: Convert, builder: relax.BlockBuilder
) -> relax.Expr:
    """A sequence [N, C, T] as an image of one column."""
    region = _values(inputs[1])
    if region is not None and region.size:
        return convert(inputs, attrs)
    shape = shape_of(inputs[0])
    image: list[Any] = [reshaped(inputs[0], [*shape, 1], builder), None, None, None]
    for index in (2, 3):
        values = _values(inputs[index])
        if values is not None:
            image[index] = relax.const(np.append(values, values.dtype.type(1)))
    if image[2] is None and image[3] is None:
        return convert(inputs, attrs)
    resized = builder.emit(resize(image, attrs, convert, builder))
    return reshaped(resized, shape_of(resized)[:3], builder)


def _values(expr: Any) -> np.ndarray | None:
    return expr.value.numpy() if isinstance(expr, GenericConst) else None


def _state_all_axes(inputs: Inputs, attrs: dict[str, Any]) -> None:
    """Scales, sizes and the region of all axes, where those of some are given."""
    axes = attrs.pop("axes", None)
    if axes is None:
        return
    lengths = shape_of(inputs[0])
    chosen = [int(axis) % len(lengths) for axis in axes]
    for index, others in ((2, np.ones(len(lengths), "f")), (3, np.array(lengths, np.int64))):
        values = _values(inputs[index])
        if values is None:
            if inputs[index] is not None:
                raise ValueError("scales or sizes of some axes must be constants")
            continue
        if len(values) != len(chosen):
            raise ValueError(f"{len(values)} scales or sizes for {len(chosen)} axes")
        others[chosen] = values
        inputs[index] = relax.const(others)
    region = _values(inputs[1])
    if region is not None and region.size == 2 * len(chosen):
        whole = np.repeat(np.array([0, 1], region.dtype), len(lengths)).reshape(2, -1)
        whole[:, chosen] = region.reshape(2, -1)
        inputs[1] = relax.const(whole.reshape(-1))


def _result(inputs: Inputs) -> list[int] | None:
    """The shape that is asked for, after checking scales; None if it is not known."""
    scales, sizes = _values(inputs[2]), _values(inputs[3])
    lengths = shape_of(inputs[0])
    if scales is not None and len(scales) == len(lengths) and np.all(np.isfinite(scales)):
        return [int(np.float32(scale) * length) for scale, length in zip(scales, lengths)]
    return None if sizes is None else [int(size) for size in sizes]


def _with_scale(
    inputs: Inputs, attrs: dict[str, Any], scales: np.ndarray, builder: relax.BlockBuilder
) -> relax.Expr | None:
    """Mixed pixels of an image by a scale that TVM's importer would lose; None for others."""
    lengths = shape_of(inputs[0])
    coordinates = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
    if attrs.get("mode", b"nearest") != b"linear" or scales.tolist()[:2] != [1.0, 1.0]:
        return None
    if not loses_scales(lengths, scales.tolist(), coordinates=coordinates, rounding=None):
        return None
    return scaled_bilinear(inputs[0], scales.tolist()[2:], coordinates, builder)


def refuse_misread(inputs: Inputs, attrs: dict[str, Any]) -> None:
    """Raises ``ValueError`` if TVM's importer would lose the scales."""
    scales = _values(inputs[2])
    if scales is None:
        return
    coordinates = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = None
    if attrs.get("mode", b"nearest") == b"nearest":
        rounding = ONNX_ROUNDINGS.get(attrs.get("nearest_mode", b"round_prefer_floor").decode())
    refuse_lost_scales(
        shape_of(inputs[0]), scales.tolist(), coordinates=coordinates, rounding=rounding
    )


def _in_two_steps(
    inputs: Inputs,
    attrs: dict[str, Any],
    scales: np.ndarray,
    convert: Convert,
    builder: relax.BlockBuilder,
) -> relax.Expr:
    """The axes that become longer, rounding positions down, then the others, rounding up."""
    data = inputs[0]
    longer = np.maximum(scales, np.float32(1))
    for part, rounding in ((longer, b"floor"), (scales / longer, b"ceil")):
        if np.any(part != 1) or rounding == b"floor":
            step = [data, None, relax.const(part), None]
            data = resize(step, {**attrs, "nearest_mode": rounding}, convert, builder)
            data = builder.emit(data)
    return data


def _first_pixels(
    inputs: Inputs,
    attrs: dict[str, Any],
    sizes: list[int],
    convert: Convert,
    builder: relax.BlockBuilder,
) -> relax.Expr:
    """Axes of which one pixel remains, with the corners aligned: the first; then the other axes."""
    axes = [axis for axis in range(2, len(sizes)) if sizes[axis] == 1]
    ends = [0] * len(axes), [1] * len(axes)
    first = builder.emit(relax.op.strided_slice(inputs[0], axes, *ends))
    rest = [axis for axis in range(len(sizes)) if axis not in axes]
    if len(rest) == 2:
        return first
    lengths = shape_of(inputs[0])
    data = reshaped(first, [lengths[axis] for axis in rest], builder)
    said: list[Any] = [None, None]  # scales or sizes, as in the model: scales may be refused
    for index, dtype in ((2, "float32"), (3, "int64")):
        values = _values(inputs[index])
        if values is not None:
            said[index - 2] = relax.const(values[rest].astype(dtype), dtype)
    return reshaped(builder.emit(convert([data, None, *said], attrs)), sizes, builder)
