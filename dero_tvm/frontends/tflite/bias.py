"""The biases of quantized layers, which are integers in units of the layer's sums.

LiteRT adds a bias to its sums as it stands in the file.  What scale and zero point the file gives
it is not looked at: converters leave them out, round them, or write them along an axis that the
bias does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite
from tvm import relax

_BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_LAYER_INPUTS = {"TRANSPOSE_CONV": (2, 1)}  # data and weights
_INTEGERS = (tflite.TensorType.INT32, tflite.TensorType.INT64)


def bias_of(code: str, operator: tflite.Operator, graph: tflite.SubGraph) -> int | None:
    """The tensor that is the integer bias of the operator `code`; None if it has none."""
    position = _BIAS_INPUT.get(code)
    if position is None or operator.InputsLength() <= position:
        return None
    tensor = operator.Inputs(position)
    return tensor if tensor >= 0 and graph.Tensors(tensor).Type() in _INTEGERS else None


def bias_quantization(code: str, operands: Sequence[Any]) -> dict[str, Any] | None:
    """What TVM's importer calls the quantization of the bias; None if the layer has none.

    `operands` are the layer's inputs, as TVM's importer wraps them.
    """
    data, weight = (operands[i].qnn_params for i in _LAYER_INPUTS.get(code, (0, 1)))
    if not data or not weight:
        return None
    unit = data["scale"].value.numpy() * weight["scale"].value.numpy()
    return {
        "scale": relax.const(unit.astype(np.float32)),
        "zero_point": relax.const(0, "int32"),
        "axis": 0,
    }
