"""What classifiers and segmenters end with, row by row behind convolutions, against the sources."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dero_tvm
from tests.compiled.c_batch import CLibrary, streamed_library
from tests.end_to_end.oracles import litert, only, onnx_runtime, relative_difference
from tests.models.tflite_builder import TFLiteBuilder

SHAPE = (1, 3, 16, 12)
HEADS = {
    "arg_max": [("ArgMax", {"axis": 1, "keepdims": 0})],
    "arg_max_kept": [("ArgMax", {"axis": 1})],
    "arg_min": [("ArgMin", {"axis": -3, "keepdims": 0})],
    "arg_max_to_int32": [("ArgMax", {"axis": 1}), ("Cast", {"to": TensorProto.INT32})],
    "log_softmax": [("LogSoftmax", {"axis": 1})],
    "prelu": [("PRelu", {})],
}


def segmenter(name: str, *, quantized: bool = False) -> onnx.ModelProto:
    """A convolution to five classes, quantized or not, and a head over each pixel."""
    rng = np.random.default_rng(5)
    constants = {
        "w": rng.normal(size=(5, 3, 3, 3)).astype(np.float32),
        "slopes": rng.normal(size=(5, 1, 1)).astype(np.float32),
        "scale": np.float32(0.31),
        "zero": np.int8(4),
    }
    nodes = [helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1])]
    last = "conv"
    if quantized:
        nodes += [
            helper.make_node("QuantizeLinear", ["conv", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["real"]),
        ]
        last = "real"
    for index, (operator, attributes) in enumerate(HEADS[name]):
        operands = [last, "slopes"] if operator == "PRelu" else [last]
        nodes.append(helper.make_node(operator, operands, [f"head{index}"], **attributes))
        last = f"head{index}"
    kinds = {"ArgMax": TensorProto.INT64, "ArgMin": TensorProto.INT64, "Cast": TensorProto.INT32}
    kind = kinds.get(HEADS[name][-1][0], TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(last, kind, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)


MODELS = {
    **{name: segmenter(name) for name in HEADS},
    **{f"{name}_int8": segmenter(name, quantized=True) for name in HEADS if "arg" in name},
}


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of all models."""
    return streamed_library(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_onnx_runtime(library: CLibrary, name: str) -> None:
    rng = np.random.default_rng(0)
    feeds = [{"x": rng.normal(size=SHAPE).astype(np.float32)} for _ in range(3)]
    for feed, expected in zip(feeds, map(only, onnx_runtime(MODELS[name], feeds))):
        found = only(library.run(name, feed)[0])
        assert found.dtype == expected.dtype and found.shape == expected.shape
        if "arg" in name:
            np.testing.assert_array_equal(found, expected)
        else:
            assert relative_difference(found, expected) <= 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_it_has_row_kernels(library: CLibrary, name: str) -> None:
    network = library.programs[name].network
    operations = [op for cascade in network.cascades for op in cascade.operations]
    assert all(op.signature.operator.startswith("dero.") for op in operations)


def test_arg_max_of_tflite() -> None:
    b = TFLiteBuilder()
    rng = np.random.default_rng(1)
    x = b.input("x", (1, 9, 8, 3), "int8", scale=0.05, zero_point=3)
    w = b.constant("w", rng.integers(-127, 128, (6, 3, 3, 3)).astype(np.int8), scale=0.01)
    bias = b.constant("bias", np.arange(6, dtype=np.int32), scale=0.0005)
    y = b.tensor("y", None, "int8", scale=0.2, zero_point=-5)
    b.operator("CONV_2D", [x, w, bias], [y], padding="SAME")
    z = b.tensor("z", None, "int32")
    b.operator("ARG_MAX", [y, b.constant("axis", 3, "int32")], [z], output_type=2)
    model = b.build(outputs=[z])
    data = rng.integers(-128, 128, (1, 9, 8, 3)).astype(np.int8)
    compiled = dero_tvm.compile(model)
    assert "R.argmax" not in str(compiled.module)
    (expected,) = litert(model, [data])
    np.testing.assert_array_equal(only(compiled.run({"x": data}, "host-c")), expected)
