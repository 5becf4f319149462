"""Int8 quantization of an ONNX model through ONNX Runtime: QDQ, one weight scale per channel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx

import dero_tvm

Feed = dict[str, np.ndarray]  # input name -> array


def quantize(model: onnx.ModelProto, calibration: Iterable[Feed]) -> onnx.ModelProto:
    """The model with int8 weights and activations; see `dero_tvm.quantize`."""
    return dero_tvm.quantize(model, calibration).model
