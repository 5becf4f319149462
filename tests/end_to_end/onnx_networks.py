"""Quantizing ONNX networks for tests, and looking into what ONNX Runtime computes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.shape_inference import quant_pre_process

from tests.end_to_end.oracles import Feed


class _Reader(quantization.CalibrationDataReader):
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def quantized(
    model: onnx.ModelProto,
    calibration: Iterable[Feed],
    *,
    form: QuantFormat = QuantFormat.QDQ,
    activations: QuantType = QuantType.QInt8,
) -> onnx.ModelProto:
    """`model` with int8 weights, one scale an output channel, by ONNX Runtime's quantizer.

    With unsigned activations in operators on integers, weights have seven bits: on x86 processors
    without VNNI, ONNX Runtime adds products of uint8 and int8 in pairs that saturate at 16 bits,
    and with eight bits computes something else than the model says.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, result = (Path(folder, name) for name in ("a.onnx", "b.onnx", "c.onnx"))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            result,
            _Reader(calibration),
            quant_format=form,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=activations,
            reduce_range=(form, activations) == (QuantFormat.QOperator, QuantType.QUInt8),
        )
        return onnx.load(result)


def output_step(model: onnx.ModelProto) -> float:
    """The quantization step of a network's one output, which a DequantizeLinear node makes."""
    (output,) = model.graph.output
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    (node,) = (node for node in model.graph.node if output.name in node.output)
    assert node.op_type == "DequantizeLinear"
    return numpy_helper.to_array(constants[node.input[1]]).item()


def share_unequal(outputs: list[np.ndarray], expected: list[np.ndarray], step: float) -> float:
    """Share of values that differ, after asserting that none differs by more than one step."""
    differences = [
        np.rint(np.abs(output.astype(np.float64) - value) / step)
        for output, value in zip(outputs, expected)
    ]
    assert max(difference.max() for difference in differences) <= 1
    return float(np.mean([np.mean(difference > 0) for difference in differences]))
