"""Functions of int16 numbers as tables of 513 entries that are read with interpolation.

TensorFlow Lite Micro fills them (``LUTPopulate`` in ``tensorflow/lite/kernels/internal/common.h``)
and reads them (``LUTLookup``) so; LiteRT fills some in float64.  Entry i stands for the input
``128 * i - 32768``, and has half the distance taken off that the chord to the next one is from the
function in its middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point

ENTRIES = 513
_STEPS, _BETWEEN = 512, 7  # bits of an input between two entries


def int16_table(
    function: Callable[[np.ndarray], np.ndarray],
    input_scale: np.float32,
    input_zero_point: int,
    output_scale: np.float32,
) -> np.ndarray:
    """The table of a float32 function with an output zero point of 0, in float32 arithmetic."""
    one, two = np.float32(1), np.float32(2)
    low, high = (
        np.float32(input_scale) * np.float32(end - input_zero_point) for end in (-32768, 32767)
    )
    step = (high - low) / np.float32(_STEPS)
    inverse = np.float32(65536) / (
        np.float32(output_scale) * np.float32(32767) - np.float32(output_scale) * np.float32(-32768)
    )
    index = np.arange(_STEPS, dtype=np.float32)

    def at(x: np.ndarray) -> np.ndarray:
        return np.asarray(function(x), np.float32) * inverse

    here, there = at(low + index * step), at(low + (index + one) * step)
    middle = _round(at(low + index * step + step / two))
    chord = _round((there + _round(here)) / two)
    entries = _round(here) - _round((chord - middle) / two)
    last = _round(at(np.asarray([high])))
    return np.clip(np.concatenate([entries, last]), -32768, 32767).astype(np.int16)


def interpolated(value: Any, table: tirx.Buffer) -> Any:
    """TIR int32 expression: the table at an int32 `value` within int16, which is used twice."""
    entry = fixed_point.hold("entry", (value >> _BETWEEN) + _STEPS // 2)
    here, there = T.cast(table[entry], "int32"), T.cast(table[entry + 1], "int32")
    part = value & ((1 << _BETWEEN) - 1)
    half = 1 << (_BETWEEN - 1)
    return here + (((there - here) * part + half) >> _BETWEEN)


def _round(values: np.ndarray) -> np.ndarray:
    """To the nearest integers, ties away from zero."""
    wide = np.asarray(values, np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide).astype(np.float32)
