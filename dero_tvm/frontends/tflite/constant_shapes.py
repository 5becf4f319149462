"""Integer operators on constants, evaluated at import.

Models converted with an open batch compute shapes in the graph
(SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE).  Once the input's shape is fixed all of these are
constants, and TVM's importer needs them so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tflite

Arrays = Sequence[np.ndarray]


def evaluate(code: str, operator: tflite.Operator, inputs: Arrays) -> np.ndarray | None:
    """The single output of the operator `code` on constant `inputs`, or None if not foldable."""
    rule = _RULES.get(code)
    if rule is None or operator.OutputsLength() != 1:
        return None
    return np.asarray(rule(operator, inputs))


def options_of(operator: tflite.Operator, table: type) -> Any:
    """The operator's options as the schema's `table` class."""
    raw = operator.BuiltinOptions()
    options = table()
    options.Init(raw.Bytes, raw.Pos)
    return options


def strided_slice_index(
    operator: tflite.Operator, begin: np.ndarray, end: np.ndarray, strides: np.ndarray
) -> tuple:
    """The NumPy index that a STRIDED_SLICE with constant bounds stands for."""
    options = options_of(operator, tflite.StridedSliceOptions)
    index: list[object] = []
    for position in range(len(begin)):
        bit = 1 << position
        first, last = int(begin[position]), int(end[position])
        if options.Offset():
            last += first
        if options.EllipsisMask() & bit:
            index.append(Ellipsis)
        elif options.NewAxisMask() & bit:
            index.append(np.newaxis)
        elif options.ShrinkAxisMask() & bit:
            index.append(first)
        else:
            start = None if options.BeginMask() & bit else first
            stop = None if options.EndMask() & bit else last
            index.append(slice(start, stop, int(strides[position])))
    return tuple(index)


def _strided_slice(operator: tflite.Operator, inputs: Arrays) -> np.ndarray:
    return inputs[0][strided_slice_index(operator, *inputs[1:4])]


def _slice(operator: tflite.Operator, inputs: Arrays) -> np.ndarray:
    data, begin, size = inputs
    return data[
        tuple(
            slice(int(b), None if s == -1 else int(b + s)) for b, s in zip(begin, size, strict=True)
        )
    ]


def _pack(operator: tflite.Operator, inputs: Arrays) -> np.ndarray:
    return np.stack(inputs, axis=options_of(operator, tflite.PackOptions).Axis())


def _concatenation(operator: tflite.Operator, inputs: Arrays) -> np.ndarray:
    return np.concatenate(inputs, axis=options_of(operator, tflite.ConcatenationOptions).Axis())


def _gather(operator: tflite.Operator, inputs: Arrays) -> np.ndarray:
    return np.take(inputs[0], inputs[1], axis=options_of(operator, tflite.GatherOptions).Axis())


def _reduce_prod(operator: tflite.Operator, inputs: Arrays) -> np.ndarray:
    keep = bool(options_of(operator, tflite.ReducerOptions).KeepDims())
    axes = tuple(int(axis) for axis in np.atleast_1d(inputs[1]))
    return np.prod(inputs[0], axis=axes, keepdims=keep, dtype=inputs[0].dtype)


def _elementwise(function: Callable) -> Callable[[tflite.Operator, Arrays], np.ndarray]:
    return lambda operator, inputs: function(*inputs)


_RULES: dict[str, Callable[[tflite.Operator, Arrays], np.ndarray]] = {
    "ADD": _elementwise(np.add),
    "SUB": _elementwise(np.subtract),
    "MUL": _elementwise(np.multiply),
    "FLOOR_DIV": _elementwise(np.floor_divide),
    "MAXIMUM": _elementwise(np.maximum),
    "MINIMUM": _elementwise(np.minimum),
    "CAST": _elementwise(lambda data: data),
    "RESHAPE": _elementwise(lambda data, shape: data.reshape(shape)),
    "EXPAND_DIMS": _elementwise(lambda data, axis: np.expand_dims(data, int(axis.item()))),
    "SQUEEZE": _elementwise(np.squeeze),
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "GATHER": _gather,
    "REDUCE_PROD": _reduce_prod,
}
