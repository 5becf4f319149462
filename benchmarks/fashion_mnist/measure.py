"""What is measured of a trained network: accuracy in int8, memory, and a board's answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from torch import nn

import dero_tvm

from .images import DataSet, Images
from .networks import exported

BOARD = "mps2-an500"
BOARD_IMAGES = 200
CALIBRATION_IMAGES = 200
_BATCH = 250
_MODES = {"tensors": "none", "in place": "accumulate", "--dero": "stream"}


def quantized(network: nn.Module, data: DataSet) -> onnx.ModelProto:
    """int8 after training, one weight scale a channel, calibrated on training images."""
    images = data.training.first(CALIBRATION_IMAGES).pixels
    return dero_tvm.quantize(exported(network), {"image": images}).model


def int8_accuracy(model: onnx.ModelProto, images: Images) -> float:
    """By ONNX Runtime without optimizations, whose integers the compiled network has, too."""
    batched = onnx.ModelProto()
    batched.CopyFrom(model)
    for port in (*batched.graph.input, *batched.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "N"
    batched.graph.ClearField("value_info")  # shapes for one image
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(batched.SerializeToString(), options)
    right = 0
    for begin in range(0, len(images), _BATCH):
        part = slice(begin, begin + _BATCH)
        (logits,) = session.run(None, {"image": images.pixels[part]})
        right += int((logits.argmax(1) == images.labels[part]).sum())
    return right / len(images)


def arenas(model: onnx.ModelProto) -> dict[str, int]:
    """Planned bytes, int8 image and logits included, by how far memory is saved.

    `tensors`: every tensor whole, in the best order; `in place`: the same with additions in place
    of an operand; `--dero`: rows that have places of their own.
    """
    return {
        name: dero_tvm.compile(model, dero=mode, integer_io=True).report.arena_bytes
        for name, mode in _MODES.items()
    }


def on_board(model: onnx.ModelProto, images: Images) -> dict[str, Any]:
    """The accuracy on the emulated board, and of ONNX Runtime on the same images."""
    few = images.first(BOARD_IMAGES)
    compiled = dero_tvm.compile(model, target=BOARD)
    feeds = [{"image": image[None]} for image in few.pixels]
    outputs = compiled.measure(feeds, f"qemu:{BOARD}").outputs
    found = np.concatenate([output["logits"] for output in outputs]).argmax(axis=1)
    return {
        "board": BOARD,
        "images": len(few),
        "accuracy": float(np.mean(found == few.labels)),
        "onnx_runtime": int8_accuracy(model, few),
    }
