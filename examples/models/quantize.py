"""Int8 quantization of an ONNX model through ONNX Runtime: QDQ, one weight scale per channel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

Feed = dict[str, np.ndarray]  # input name -> array


def quantize(model: onnx.ModelProto, calibration: Iterable[Feed]) -> onnx.ModelProto:
    """The model with int8 weights (per output channel) and int8 activations, in QDQ form.

    Batch norms are folded first.  The range of every activation is the least and the greatest
    value that it takes while the float32 model runs on the `calibration` inputs.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, result = (Path(folder, f"{i}.onnx") for i in range(3))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            result,
            _Reader(calibration),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            activation_type=quantization.QuantType.QInt8,
        )
        quantized = onnx.load(result)
    _drop_unused_domains(quantized)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """ONNX Runtime imports every operator domain it knows; other tools may refuse them."""
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands ONNX Runtime one input at a time."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)
