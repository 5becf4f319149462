"""Convolution with a virtual shortcut: a residual over one operator, computed in its loop nest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import tirx

from .conv2d import Conv2D, check_operands
from .pool2d import Axis
from .registry import Operator, OperatorClass, Span, register
from .shortcut_kernel import float_row, integer_row
from .shortcut_steps import CONV, DATA, SCALAR, Affine, Lookup, ShortcutStep, Term, decode
from .signature import Signature, TensorSpec
from .window import needed_along, window_rows

_FLOAT = ("scale", "offset", "tap_bias")
_INTEGER = ("multiplier", "shift", "constants", "tables")


@register
class ShortcutConv2D(Operator):
    """2-D convolution plus what a shortcut makes of the same input; nothing is materialised.

    ``data``, ``weight``, ``bias`` and the first attributes are those of `conv2d`.  The shortcut
    sums a window of each channel, ``pool_size`` with ``pool_padding`` and the convolution's
    strides, and folds the C channels of the data onto the O channels of the output::

        folded[o] = sum over j < fold of window_sum[o + j * O]       (channels from C on are zeros)

    float32 (``scale[O]``, ``offset[O]``)::

        out = clamp(act(conv(data) + bias) + scale * folded + offset, sum_minimum, sum_maximum)

    ``act`` is `unary`'s ``function`` with ``alpha`` and ``beta`` (None: none), clamped to
    ``minimum`` and ``maximum``.  A normalisation before the convolution is folded into the
    weights; its constant part is ``tap_bias[O, kernel_h, kernel_w]``, which is added for each tap
    that lies inside the image, so that padding stays zero behind the normalisation.

    int8 (``multiplier[O]``, ``shift[O]`` as in `conv2d`): every value that the network rounds to
    int8 is one of ``steps`` (see `shortcut_steps`), the last of which is the output.  ``constants``
    (int32) and ``tables`` (int8) are what the steps refer to.  ``normalisation``, if not negative,
    is the step that the convolution reads in place of the data, at the same pixel.
    """

    name = "shortcut_conv2d"
    defaults = {
        **Conv2D.defaults,
        "rounding": "single",
        "function": None,
        "alpha": 0.0,
        "beta": 0.0,
        "pool_size": (1, 1),
        "pool_padding": (0, 0, 0, 0),  # top, left, bottom, right
        "fold": 1,
        "sum_minimum": None,
        "sum_maximum": None,
        "steps": (),
        "normalisation": -1,
    }

    def argument_names(self, signature: Signature) -> tuple[str, ...]:
        others = _FLOAT if signature.inputs[0].dtype == "float32" else _INTEGER
        return ("data", "weight", "bias", *others)[: len(signature.inputs)]

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The convolution's result.  Raises ``ValueError`` for operands that do not fit."""
        data = inputs[0]
        integer = data.dtype == "int8"
        check_operands(inputs[: 5 if integer else 3], attrs)
        output = Conv2D().infer(inputs[: 5 if integer else 3], attrs)
        window = tuple(axis.out_length for axis in shortcut_window(data, attrs))
        if window != output.shape[1:3]:
            raise ValueError(
                f"shortcut_conv2d: the shortcut's window gives {window[0]} x {window[1]} pixels, "
                f"the convolution {output.shape[1]} x {output.shape[2]}"
            )
        (_check_integer if integer else _check_float)(inputs, attrs, output.channels)
        return output

    def operator_class(self, signature: Signature) -> OperatorClass:
        return Conv2D().operator_class(signature)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        return _needed(signature, 0, row)

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        return _needed(signature, 1, column)

    def macs(self, signature: Signature) -> int:
        """Those of the convolution."""
        return Conv2D().macs(signature)

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        axes = shortcut_window(signature.inputs[0], signature.attrs)
        if signature.inputs[0].dtype == "int8":
            return integer_row(signature, axes)
        return float_row(signature, axes)


def _needed(signature: Signature, axis: int, place: int) -> Span:
    """The rows or columns under the convolution's window, and the shortcut's where it is larger."""
    first, last = needed_along(axis, place, signature, kernel=signature.inputs[1].shape[1 + axis])
    begin, end = window_rows(
        place,
        signature.inputs[0].shape[1 + axis],
        signature.output.shape[1 + axis],
        kernel=signature["pool_size"][axis],
        stride=signature["strides"][axis],
        before=signature["pool_padding"][axis],
        dilation=1,
    )
    return (min(first, begin), max(last, end)) if first < last else (begin, end)


def shortcut_window(data: TensorSpec, attrs: Mapping[str, Any]) -> tuple[Axis, Axis]:
    """The shortcut's window along height and width.  ``ValueError`` where one sees no image."""
    window = {
        "pool_size": attrs["pool_size"],
        "strides": attrs["strides"],
        "padding": attrs["pool_padding"],
        "dilation": (1, 1),
    }
    axes = (Axis.of(data, window, 0), Axis.of(data, window, 1))
    if min(count for axis in axes for count in axis.counts()) < 1:
        raise ValueError(
            f"shortcut_conv2d: with a window of {attrs['pool_size']} and padding "
            f"{attrs['pool_padding']} some windows lie outside the image"
        )
    return axes


def _check_float(inputs: tuple[TensorSpec, ...], attrs: Mapping[str, Any], filters: int) -> None:
    names = ("scale", "offset", "tap_bias")
    shapes = ((filters,), (filters,), inputs[1].shape[:3])
    if len(inputs) not in (5, 6):
        raise ValueError(f"shortcut_conv2d takes 5 or 6 float32 tensors, got {len(inputs)}")
    for name, shape, spec in zip(names, shapes, inputs[3:]):
        if (spec.shape, spec.dtype) != (shape, "float32"):
            raise ValueError(f"shortcut_conv2d: {name} must be float32 {shape}, got {spec}")
    if attrs["fold"] < 1:
        raise ValueError(f"shortcut_conv2d: fold must be at least 1, got {attrs['fold']}")


def _check_integer(inputs: tuple[TensorSpec, ...], attrs: Mapping[str, Any], filters: int) -> None:
    if len(inputs) != 7:
        raise ValueError(f"shortcut_conv2d takes 7 tensors for int8, got {len(inputs)}")
    for name, dtype, spec in zip(("constants", "tables"), ("int32", "int8"), inputs[5:]):
        if len(spec.shape) != 1 or spec.dtype != dtype:
            raise ValueError(f"shortcut_conv2d: {name} must be a vector of {dtype}, got {spec}")
    steps = decode(attrs["steps"])
    if not steps:
        raise ValueError("shortcut_conv2d: int8 needs steps, the last of which is the output")
    if not -1 <= attrs["normalisation"] < len(steps):
        raise ValueError(f"shortcut_conv2d: there is no step {attrs['normalisation']}")
    for index, step in enumerate(steps):
        _check_step(index, step, inputs)


def _check_step(index: int, step: ShortcutStep, inputs: tuple[TensorSpec, ...]) -> None:
    lengths = inputs[5].elements, inputs[6].elements
    if isinstance(step, Lookup):
        sources, fits = [step.source], 0 <= step.table <= lengths[1] - 256
    else:
        sources = [term.source for term in step.terms]
        starts = [step.offsets, *(term.factors for term in step.terms)]
        fits = all(SCALAR <= start < lengths[0] for start in starts)
    if not fits:
        raise ValueError(f"shortcut_conv2d: step {index} refers to constants that are not there")
    if any(source not in (DATA, CONV) and not 0 <= source < index for source in sources):
        raise ValueError(f"shortcut_conv2d: step {index} reads a step that comes after it")


__all__ = ["CONV", "DATA", "SCALAR", "Affine", "Lookup", "ShortcutConv2D", "Term"]
