"""Float networks through ONNX Runtime's static quantizer."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class _Readings(CalibrationDataReader):
    def __init__(self, readings: Sequence[Mapping[str, np.ndarray]]) -> None:
        self._readings = iter(readings)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next((dict(reading) for reading in self._readings), None)


def statically_quantized(
    model: onnx.ModelProto, readings: Sequence[Mapping[str, np.ndarray]], chance: random.Random
) -> onnx.ModelProto | None:
    """`model` with QDQ pairs, in one of the quantizer's settings; None where it gives up."""
    activations = chance.choice((QuantType.QInt8, QuantType.QInt8, QuantType.QUInt8))
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "float.onnx"), Path(folder, "quantized.onnx")
        onnx.save(model, source)
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                quantize_static(
                    source,
                    result,
                    _Readings(readings),
                    quant_format=QuantFormat.QDQ,
                    per_channel=chance.random() < 0.5,
                    weight_type=QuantType.QInt8,
                    activation_type=activations,
                    extra_options={
                        "ActivationSymmetric": chance.random() < 0.3,
                        "DedicatedQDQPair": chance.random() < 0.3,
                        "ForceQuantizeNoInputCheck": chance.random() < 0.3,
                    },
                )
        except (ValueError, IndexError):  # it stumbles over biases that are broadcast
            return None
        finally:
            logging.disable(before)
        return onnx.load(result)
