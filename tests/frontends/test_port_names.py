"""Outputs that are one tensor, and inputs that are called alike, have names of their own."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tvm
from onnx import ModelProto, TensorProto, helper
from tvm import relax

import dero_tvm
from dero_tvm.frontends.port_names import distinct_names
from tests.models.tflite_builder import TFLiteBuilder

DATA = np.arange(-12, 12).reshape(1, 2, 3, 4)


def test_distinct_names() -> None:
    assert distinct_names(["y", "x", "y", "y"]) == ("y", "x", "y_1", "y_2")
    assert distinct_names(["y", "y", "y_1"]) == ("y", "y_2", "y_1")


def onnx_model(outputs: list[str]) -> ModelProto:
    shape = list(DATA.shape)
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["y"], ["copy"])]
    graph = helper.make_graph(
        nodes,
        "outputs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [helper.make_tensor("k", TensorProto.FLOAT, shape, DATA.astype("float32").tobytes(), True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def tflite_model() -> bytes:
    builder = TFLiteBuilder()
    x = builder.input("x", DATA.shape, "int8", scale=0.1, zero_point=0)
    y = builder.tensor("y", DATA.shape, "int8", scale=0.1, zero_point=0)
    builder.operator("RELU", [x], [y])
    return builder.build([y, x, y])


def relax_module() -> tvm.IRModule:
    x = relax.Var("x", relax.TensorType(DATA.shape, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(relax.op.nn.relu(x))
        builder.emit_func_output(relax.Tuple([y, x, y]))
    return builder.get()


def pytorch_program():
    torch = pytest.importorskip("torch")

    class Outputs(torch.nn.Module):
        def forward(self, x):
            y = torch.relu(x)
            return y, x, y

    return torch.export.export(Outputs(), (torch.zeros(DATA.shape),))


MODELS = {
    "onnx": (lambda: onnx_model(["y", "x", "y"]), ["y", "x", "y_1"]),
    "onnx, a copy and constants": (
        lambda: onnx_model(["y", "x", "copy", "k", "k"]),
        ["y", "x", "copy", "k", "k_1"],
    ),
    "tflite": (tflite_model, ["y", "x", "y_1"]),
    "relax": (relax_module, ["output_0", "output_1", "output_2"]),
    "pytorch": (pytorch_program, ["relu", "x", "relu_1"]),
}


@pytest.mark.parametrize("external_io", [False, True])
@pytest.mark.parametrize("case", MODELS)
def test_every_output_is_there(case: str, external_io: bool) -> None:
    make, names = MODELS[case]
    model = dero_tvm.compile(make(), external_io=external_io, time_limit=1)
    relu = np.maximum(DATA, 0)
    for device in ("host", "host-c"):
        outputs = model.run({"x": DATA.astype("int8" if case == "tflite" else "float32")}, device)
        assert [*outputs] == names
        for output, expected in zip(outputs.values(), [relu, DATA, relu, DATA, DATA]):
            np.testing.assert_array_equal(output, expected)
    assert [port.name for port in model.report.ports if port.kind == "output"] == names
    files = model.archive.files
    (header,) = (text.decode() for path, text in files.items() if path.endswith(".h"))
    assert re.findall(r"void \*\w+; /\* (\w+): ", header) == ["x", *names]
    metadata = json.loads(files["metadata.json"])["modules"]["default"]
    assert sorted(metadata["memory"]["functions"]["main"][0]["outputs"]) == sorted(names)


def test_parameters_called_alike() -> None:
    shapes = [(1, 3), (2, 3)]
    first, second = (relax.Var("x", relax.TensorType(shape, "float32")) for shape in shapes)
    builder = relax.BlockBuilder()
    with builder.function("main", [first, second]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.add(first, second))
        builder.emit_func_output(result)
    data = {name: np.ones(shape, "float32") for name, shape in zip(["x", "x_1"], shapes)}
    outputs = dero_tvm.compile(builder.get()).run(data, "host-c")
    assert outputs["output"].tolist() == [[2.0] * 3] * 2
