"""The node tests of the onnx package as small networks: a model, arrays, expected arrays.

They give an operator everything as an input, also what says of which shape its result is, and
weights.  A network has those as constants, and memory is planned for fixed shapes, so the inputs
that `_CONSTANT` lists become initializers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from tests.frontends.onnx_runtime import run_plainly

# Operator -> positions of the inputs that its networks hold as constants.
_CONSTANT = {
    **dict.fromkeys(("Conv", "ConvTranspose"), (1, 2)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (1, 2, 3)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), tuple(range(1, 9))),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    **dict.fromkeys(("BatchNormalization",), (1, 2, 3, 4)),
    **dict.fromkeys(("InstanceNormalization", "LayerNormalization"), (1, 2)),
    **dict.fromkeys(("GroupNormalization",), (1, 2)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3)),
    **dict.fromkeys(("Clip",), (1, 2)),
    **dict.fromkeys(("Pad", "Slice", "Resize"), (1, 2, 3, 4)),
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Upsample", "Split", "TopK"), (1,)),
    **dict.fromkeys(("Squeeze", "Unsqueeze", "CumSum", "Trilu", "BitShift"), (1,)),
    **dict.fromkeys(("SplitToSequence", "CenterCropPad", "DFT", "MaxUnpool"), (1, 2)),
    **dict.fromkeys(("ConstantOfShape",), (0,)),
    **dict.fromkeys(("Range", "AffineGrid", "OneHot"), (0, 1, 2)),
    **dict.fromkeys(("HannWindow", "HammingWindow", "BlackmanWindow"), (0,)),
}
_CONSTANT["OneHot"] = (1, 2)
_CONSTANT["AffineGrid"] = (1,)
_REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()
_CONSTANT.update({f"Reduce{name}": (1,) for name in _REDUCTIONS})


_BY_ONNX_RUNTIME = (
    # ONNX' reference divides by a width of 2.4 pixels; ONNX Runtime by the 2 that there are, as
    # PyTorch does, whose exporters write such nodes.
    "test_resize_downsample_scales_cubic_align_corners",
    "test_resize_downsample_scales_linear_align_corners",
)


@dataclass(frozen=True)
class Case:
    """One node test: inferences of one model."""

    name: str
    model: onnx.ModelProto
    inferences: tuple[tuple[Mapping[str, np.ndarray], tuple[Any, ...]], ...]
    rtol: float
    atol: float


def node_cases() -> dict[str, Case]:
    """All node tests by name, with the data that the package computes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero on purpose
        tests = load_model_tests(kind="node")
    return {test.name: _case(test) for test in sorted(tests, key=lambda test: test.name)}


def _case(test: Any) -> Case:
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    names = [value.name for value in model.graph.input]
    inferences = [
        (dict(zip(names, map(_array, given))), tuple(map(_array, wanted)))
        for given, wanted in test.data_sets
    ]
    if len(inferences) == 1:
        for name in _constants(model):
            array = inferences[0][0].get(name)
            if isinstance(array, np.ndarray):
                model.graph.initializer.append(numpy_helper.from_array(array, name))
                del inferences[0][0][name]
        kept = [value for value in model.graph.input if value.name in inferences[0][0]]
        del model.graph.input[:]
        model.graph.input.extend(kept)
    if test.name in _BY_ONNX_RUNTIME:
        inferences = [(given, (run_plainly(model, given),)) for given, _ in inferences]
    return Case(test.name, model, tuple(inferences), test.rtol, test.atol)


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value  # a number without axes


def _constants(model: onnx.ModelProto) -> list[str]:
    """Inputs of the model that are parameters of the operator tested.

    Of a test whose operator is expanded into others only the originals are known, by the name.
    """
    found = []
    for node in model.graph.node:
        for position in _CONSTANT.get(node.op_type, ()):
            if position < len(node.input) and node.input[position]:
                found.append(node.input[position])
    inputs = {value.name for value in model.graph.input}
    return [name for name in dict.fromkeys(found) if name in inputs]
