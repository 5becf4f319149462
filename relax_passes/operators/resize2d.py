"""Nearest-neighbour resizing of images.

Which input row an output row copies is decided in float32 by the framework that trained the
network, and at ties the rounding of that arithmetic shows.  So the table of source rows is made
at compile time with the framework's own formula, and the kernel computes it again with integers:
a line ``(y * numerator + offset) / denominator``, corrected where the table departs from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from .gather import GatherOperator
from .operand_checks import check_choices
from .registry import REQUIRED, OperatorClass, register
from .signature import Signature, TensorSpec

COORDINATES = ("asymmetric", "half_pixel", "align_corners")
ROUNDINGS = ("floor", "round_half_down", "round_half_up", "ceil")
ONNX_ROUNDINGS = {  # ONNX' and TVM's names
    "floor": "floor",
    "ceil": "ceil",
    "round_prefer_floor": "round_half_down",
    "round_prefer_ceil": "round_half_up",
}
ARITHMETICS = ("multiply", "divide")

_ONNX_RUNTIME_TIE = 1e-6  # as near to a half, ONNX Runtime 1.32 takes a position for a tie


@register
class Resize2D(GatherOperator):
    """Nearest-neighbour resizing of NHWC `data` to `size` (height, width).

    ``scale`` is input rows (columns) per output row (column); None stands for the quotient of the
    sizes.  Output row y copies the row nearest to x, clipped to the input:

    - ``asymmetric``: ``x = y * scale``
    - ``half_pixel``: ``x = (y + 0.5) * scale - 0.5``
    - ``align_corners``: ``x = y * (H_in - 1) / (H_out - 1)``, whatever `scale` says

    ``rounding`` makes x an integer.  All is computed in float32; ``arithmetic`` chooses between
    multiplying by the scale, as LiteRT does, and dividing by its inverse, as ONNX Runtime does,
    which can differ where x is a tie.
    """

    name = "resize2d"
    memory_class = OperatorClass.RESIZE
    defaults = {
        "size": REQUIRED,
        "scale": None,
        "coordinates": "asymmetric",
        "rounding": "floor",
        "arithmetic": "multiply",
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        data = self.check_input(inputs)
        if len(data.shape) != 4:
            raise ValueError(f"resize2d takes NHWC data, got shape {data.shape}")
        if len(attrs["size"]) != 2 or min(attrs["size"]) < 1:
            raise ValueError(f"resize2d: size must be a height and a width, got {attrs['size']}")
        known = {"coordinates": COORDINATES, "rounding": ROUNDINGS, "arithmetic": ARITHMETICS}
        check_choices(self.name, attrs, **known)
        if attrs["scale"] is not None and not min(attrs["scale"]) > 0:
            raise ValueError(f"resize2d: scales must be positive, got {attrs['scale']}")
        batch, _, _, channels = data.shape
        return TensorSpec((batch, *attrs["size"], channels), data.dtype)

    def source(self, signature: Signature, indices: Sequence[Any]) -> list[Any]:
        n, y, x, c = indices
        return [n, *(_source(signature, axis, i) for axis, i in enumerate((y, x))), c]


@lru_cache(maxsize=256)
def nearest_table(
    length: int,
    out_length: int,
    scale: float | None,
    coordinates: str,
    rounding: str,
    arithmetic: str,
) -> tuple[int, ...]:
    """The input index that each output index of one axis copies; see `Resize2D`.

    The formulas are those of ``GetNearestNeighbor`` in LiteRT (``tensorflow/lite/kernels/internal/
    reference/resize_nearest_neighbor.h``) and of ONNX Runtime's ``Upsample``
    (``core/providers/cpu/tensor/upsamplebase.h``).
    """
    if arithmetic == "divide":
        inverse = np.float32(out_length / length if scale is None else 1.0 / scale)
        x = divided_positions(length, out_length, inverse, coordinates)
    else:
        step = np.float32(length / out_length if scale is None else scale)
        x, rounding = _multiplied_positions(length, out_length, step, coordinates, rounding)
    return tuple(nearest_places(x, length, rounding, arithmetic).tolist())


def divided_positions(
    length: int, out_length: int, scale: np.float32, coordinates: str
) -> np.ndarray:
    """Where each output index of one axis lies in the input, in float32, as ONNX Runtime has it.

    `scale` is output elements by input element; the `COORDINATES` are those of `Resize2D`.
    """
    half = np.float32(0.5)
    y = np.arange(out_length, dtype=np.float32)
    if coordinates == "align_corners":
        return y * np.float32(length - 1) / np.float32(max(out_length - 1, 1))
    if coordinates == "half_pixel":
        return (y + half) / scale - half
    return y / scale


def _multiplied_positions(
    length: int, out_length: int, step: np.float32, coordinates: str, rounding: str
) -> tuple[np.ndarray, str]:
    """The same as LiteRT has it, and how they are rounded."""
    half = np.float32(0.5)
    y = np.arange(out_length, dtype=np.float32)
    if coordinates == "align_corners":
        if out_length > 1:
            step = np.float32(length - 1) / np.float32(out_length - 1)
        return y * step, rounding
    if coordinates == "half_pixel":
        center = (y + half) * step
        if rounding == "round_half_up":
            return center, "floor"  # round(center - 0.5), without rounding twice
        return center - half, rounding
    return y * step, rounding


def nearest_places(x: np.ndarray, length: int, rounding: str, arithmetic: str) -> np.ndarray:
    """Positions in float32 as indices of `length` elements; see `Resize2D`."""
    exact = x.astype(np.float64)  # adding a half is exact from here on
    slack = _ONNX_RUNTIME_TIE if arithmetic == "divide" else 0.0
    rounded = {
        "floor": np.floor(exact),
        "ceil": np.ceil(exact),
        "round_half_down": np.ceil(exact - 0.5 - slack),
        "round_half_up": np.floor(exact + 0.5 + slack),
    }[rounding]
    return np.clip(rounded, 0, length - 1).astype(np.int64)


def _source(signature: Signature, axis: int, index: Any) -> Any:
    """The input index along `axis` (0: height, 1: width) of output index `index`."""
    scale = signature["scale"]
    length = signature.inputs[0].shape[1 + axis]
    table = nearest_table(
        length,
        signature.output.shape[1 + axis],
        None if scale is None else scale[axis],
        signature["coordinates"],
        signature["rounding"],
        signature["arithmetic"],
    )
    if isinstance(index, int):
        return table[index]
    return _expression(table, length, None if scale is None else scale[axis], index)


def _expression(table: tuple[int, ...], length: int, scale: float | None, index: Any) -> Any:
    """`table[index]` as a TIR expression."""
    line = _fit_line(table, length, scale)
    numerator, offset, denominator = line
    value = index * numerator + offset
    if offset < 0:
        value = T.max(value, 0)
    value = T.truncdiv(value, denominator)
    if max(_on_line(line, y, None) for y in range(len(table))) >= length:
        value = T.min(value, length - 1)
    for y, source in enumerate(table):
        if _on_line(line, y, length) != source:
            value = T.Select(index == y, tirx.const(source, "int32"), value)
    return value


_NO_END = (-(1 << 62), 1 << 62)


@lru_cache(maxsize=256)
def _fit_line(table: tuple[int, ...], length: int, scale: float | None) -> tuple[int, int, int]:
    """Numerator, offset, denominator of the line that departs from the fewest table entries."""
    last = len(table) - 1
    slopes = {Fraction(length, len(table)), Fraction(length - 1, max(last, 1))}
    if last:
        # Scales other than the quotient of the sizes: the table's own mean slope, roughly.
        mean = Fraction(table[-1] - table[0], last)
        slopes |= {mean.limit_denominator(limit) for limit in (4, 16, 64)}
    if scale is not None:
        slopes |= {Fraction(scale).limit_denominator(1 << bits) for bits in range(4, 16)}
    sources, y = np.array(table), np.arange(len(table))
    best: tuple[int, int, int, int] | None = None
    for slope in sorted(slopes):
        numerator, denominator = slope.numerator, slope.denominator
        # The offsets that suit an entry of the table: a range, without an end where the expression
        # is clipped anyway.
        least = sources * denominator - numerator * y
        from_ = np.sort(np.where(sources == 0, _NO_END[0], least))
        to = np.sort(np.where(sources == length - 1, _NO_END[1], least + denominator - 1))
        # Worth trying: the least and the greatest that suit some entry, within int32.
        offsets = np.unique(np.concatenate([[0], least, least + denominator - 1]))
        offsets = offsets[abs(offsets) + numerator * last < 1 << 31]
        if not offsets.size:
            continue
        suited = np.searchsorted(from_, offsets, "right") - np.searchsorted(to, offsets, "left")
        index = int(np.lexsort((offsets, abs(offsets), -suited))[0])
        found = (len(table) - int(suited[index]), denominator, numerator, int(offsets[index]))
        best = found if best is None else min(best, found)
    assert best is not None
    _, denominator, numerator, offset = best
    return numerator, offset, denominator


def _on_line(line: tuple[int, int, int], index: int, length: int | None) -> int:
    numerator, offset, denominator = line
    value = max(index * numerator + offset, 0) // denominator
    return value if length is None else min(value, length - 1)
