"""Sigmoid and hyperbolic tangent of int16 numbers, by a table that is read with interpolation.

LiteRT and TensorFlow Lite Micro compute them so for int16
(``tensorflow/lite/kernels/internal/reference/integer_ops/logistic.h`` and ``tanh.h``), from one
table: tanh(x) = 2 sigmoid(2 x) - 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point

_STEPS = 24  # entries for an argument of 1
_LAST = 255


def sigmoid_table() -> np.ndarray:
    """sigmoid(i / 24) in Q0.16, as 256 uint16 numbers.

    Chords lie below the curve: each entry is raised by half of their greatest distance, so that
    what is interpolated is as often above the curve as below.
    """
    sigmoid = 1 / (1 + np.exp(-np.arange(_LAST + 1) / _STEPS))
    bend = sigmoid * (1 - sigmoid) * (2 * sigmoid - 1)
    table = np.floor(65536 * (sigmoid + bend / (16 * _STEPS**2)) + 0.5)
    table[_LAST] = 65535
    return table.astype(np.uint16)


def sigmoid(value: Any, table: tirx.Buffer) -> Any:
    """TIR int32 expression in Q0.15, of an int32 `value` in Q3.12."""
    return sigmoid_at(fixed_point.hold("scaled", value * 3), table)


def sigmoid_at(scaled: Any, table: tirx.Buffer) -> Any:
    """TIR int32 expression in Q0.15, of a variable that stands for ``scaled / (3 * 2**12)``."""
    result = _interpolated(table, T.abs(scaled), 9, 0x7FFF << 10)
    positive, negative = result + (1 << 9), (1 << 25) - result + (1 << 9) - 1
    return T.Select(scaled >= 0, positive, negative) >> 10


def tanh(value: Any, table: tirx.Buffer, power: int) -> Any:
    """TIR int32 expression in Q0.15, of an int32 `value` that stands for ``value * 2**power``."""
    left = 12 + power
    scaled = value * (3 << left) if left >= 0 else (value * 3 + (1 << (-left - 1))) >> -left
    return tanh_at(fixed_point.hold("scaled", scaled), table)


def tanh_at(scaled: Any, table: tirx.Buffer) -> Any:
    """TIR int32 expression in Q0.15, of a variable that stands for ``scaled / (3 * 2**12)``."""
    result = _interpolated(table, T.abs(scaled), 8, 0xFFFF << 8)
    positive = result - (1 << 23) + (1 << 7)
    negative = (1 << 23) - result + (1 << 7) - 1
    return T.Select(scaled >= 0, positive, negative) >> 8


def _interpolated(table: tirx.Buffer, value: Any, fraction: int, most: int) -> Any:
    """The table at `value`, of which `fraction` bits lie between two entries; `most` beyond it."""
    value = fixed_point.hold("magnitude", value)
    entry = fixed_point.hold("entry", T.min(value >> fraction, _LAST - 1))
    here, there = T.cast(table[entry], "int32"), T.cast(table[entry + 1], "int32")
    between = (here << fraction) + (value & ((1 << fraction) - 1)) * (there - here)
    beyond = (value >> fraction) >= _LAST
    return fixed_point.hold("between", T.Select(beyond, tirx.const(most, "int32"), between))
