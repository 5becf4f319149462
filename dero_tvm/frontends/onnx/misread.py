"""Operators that TVM's importer takes without a word, and computes otherwise than ONNX defines.

Found by the ONNX backend's node tests.
"""

from __future__ import annotations

import numpy as np
import onnx

from .constants import Constants
from .graph_nodes import attributes_of

_IN_TRAINING = "in training mode; export the model for inference"


def misread(node: onnx.NodeProto, constants: Constants) -> str | None:
    """What the importer would overlook in `node`; None if it is read as it is meant."""
    attributes = attributes_of(node)
    if node.op_type == "NonMaxSuppression":
        return "with a result whose size is known only at run time"
    if node.op_type == "MaxPool" and any(node.output[1:]):
        return "with the indices of the maxima as an output"
    if node.op_type == "LayerNormalization" and any(node.output[1:]):
        return "with mean and deviation as outputs"
    if node.op_type == "RoiAlign" and attributes.get("mode") == b"max":
        return "with mode=max"
    if node.op_type == "SpaceToDepth" and attributes.get("mode", b"DCR") != b"DCR":
        return "with a mode other than DCR"
    if node.op_type == "BitShift":
        return _bit_shift(node, constants)
    if node.op_type == "BatchNormalization" and (
        attributes.get("training_mode") or any(node.output[1:])
    ):
        return _IN_TRAINING
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        training = constants.value(node.input[2])
        if training is None or training.any():
            return _IN_TRAINING
    return None


def _bit_shift(node: onnx.NodeProto, constants: Constants) -> str | None:
    """C leaves shifts by less than 0, or by all bits, undefined."""
    amounts = constants.value(node.input[1])
    if amounts is None:
        return "by an amount that is computed"
    outside = np.any(amounts < 0) or np.any(amounts >= 8 * amounts.itemsize)
    return "by less than 0 or by all bits" if outside else None
