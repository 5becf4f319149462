"""Everything a user can get wrong with a model file is one line that names it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm.script import ir as I
from tvm.script import relax as R

import dero_tvm
from dero_tvm.boundary.errors import InternalError, UserError, first_line, internal_errors
from dero_tvm.frontends import load
from tests.frontends.refusals import refusal, write
from tests.models.tflite_builder import TFLiteBuilder


def relu(shape: tuple[int | str | None, ...] = (1, 4), kind: int = TensorProto.FLOAT) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.onnx") == f"{tmp_path}/no.onnx does not exist"
    assert refusal(tmp_path).startswith(f"{tmp_path} is a folder; give the model file itself")
    empty = write(tmp_path / "empty.tflite", b"")
    assert refusal(empty) == f"{empty} is empty"
    assert "cannot be read" in refusal(write(tmp_path / "file", b"x") / "model.onnx")


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".pt2"])
def test_content_of_another_kind(tmp_path: Path, suffix: str) -> None:
    if suffix == ".pt2":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    path = write(tmp_path / f"notes{suffix}", b"These are notes, not a model.\n" * 20)
    kind = {".onnx": "ONNX model", ".tflite": "TFLite model", ".pt2": "PyTorch program"}[suffix]
    assert f"{path} is not a readable {kind} (" in refusal(path)


def test_unknown_suffix(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "notes.txt", b"These are notes, not a model.\n" * 20))
    assert "notes.txt is not a model of a known format" in message
    assert "ONNX (.onnx), TFLite (.tflite)" in message


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    assert load(write(tmp_path / "a.bin", relu())).format == "onnx"
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "float32")
    builder.operator("RELU", [x], [builder.tensor("y", (1, 4), "float32")])
    assert load(write(tmp_path / "b.onnx", builder.build([1]))).format == "tflite"


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(64), "from_keras_model"),
        ("model.bin", b"\x89HDF\r\n\x1a\n" + bytes(64), "from_keras_model"),
        ("model.pth", b"PK\x03\x04" + bytes(64), "torch.export.save"),
        ("model.pb", b"\x0a\x05hello" + bytes(64), "TFLiteConverter"),
    ],
)
def test_formats_that_need_conversion(
    tmp_path: Path, name: str, content: bytes, advice: str
) -> None:
    message = refusal(write(tmp_path / name, content))
    assert name in message
    assert advice in message


def test_source_of_a_wrong_type() -> None:
    assert refusal(42).startswith("a model cannot be loaded from a int")


def test_truncated_onnx(tmp_path: Path) -> None:
    data = relu()
    for length in range(1, len(data)):
        message = refusal(write(tmp_path / "cut.onnx", data[:length]))
        assert "cut.onnx is not a readable ONNX model" in message


def test_unsupported_onnx_operators_are_listed_together(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Wobble", ["x"], ["a"], name="first", domain="acme"),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("StringNormalizer", ["b"], ["y"]),
        ],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("acme", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path = write(tmp_path / "odd.onnx", model.SerializeToString())
    assert refusal(path) == (
        f"{path}: unsupported operators: acme.Wobble (node 'first'); "
        "StringNormalizer (computing 'y')"
    )


def test_onnx_quantized_operator_with_computed_scale() -> None:
    node = helper.make_node(
        "QLinearConv", ["x", "s", "z", "w", "ws", "wz", "ys", "yz", "b"], ["y"], name="conv"
    )
    scale = helper.make_node("ReduceMax", ["raw"], ["s"], keepdims=0)
    constants = {
        "z": np.array(0, "int8"),
        "w": np.ones((2, 1, 1, 1), "int8"),
        "ws": np.array(0.1, "float32"),
        "wz": np.array(0, "int8"),
        "ys": np.array(0.1, "float32"),
        "yz": np.array(0, "int8"),
        "b": np.zeros(2, "int32"),
    }
    graph = helper.make_graph(
        [scale, node],
        "computed",
        [
            helper.make_tensor_value_info("x", TensorProto.INT8, (1, 1, 4, 4)),
            helper.make_tensor_value_info("raw", TensorProto.FLOAT, (2,)),
        ],
        [helper.make_tensor_value_info("y", TensorProto.INT8, (1, 2, 4, 4))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert "QLinearConv (node 'conv') has the scale 's'" in refusal(model)


@pytest.mark.parametrize("scales", [(0.1, 0.0), (0.1, np.inf), (np.nan, 0.1), (np.inf, 0.1)])
def test_scales_that_are_none(scales: tuple[float, float]) -> None:
    constants = {"s": np.float32(scales[0]), "t": np.float32(scales[1]), "z": np.array(0, "int8")}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["real"], "first"),
        helper.make_node("QuantizeLinear", ["real", "t", "z"], ["y"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "scales",
        [helper.make_tensor_value_info("x", TensorProto.INT8, (1, 4))],
        [helper.make_tensor_value_info("y", TensorProto.INT8, (1, 4))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    wrong = next(scale for scale in scales if scale != 0.1)
    layer = "DequantizeLinear 'first'" if scales[1] == 0.1 else "QuantizeLinear 'last'"
    assert f"{layer} has the scale {wrong:g}; a scale has to be a positive" in refusal(model)


def test_unsupported_onnx_type(tmp_path: Path) -> None:
    path = write(tmp_path / "half.onnx", relu(kind=TensorProto.FLOAT16))
    assert refusal(path).startswith(f"{path}: input 'x' has the unsupported type float16")


def test_onnx_input_without_a_type(tmp_path: Path) -> None:
    path = write(tmp_path / "vague.onnx", relu(kind=TensorProto.UNDEFINED))
    assert refusal(path) == f"{path}: input 'x' has no type; the file is damaged or incomplete"


def test_relax_input_without_a_type() -> None:
    @I.ir_module
    class Vague:
        @R.function
        def main(x: R.Tensor((2, 3))):
            with R.dataflow():
                gv = R.nn.relu(x)
                R.output(gv)
            return gv

    assert refusal(Vague).endswith(": input 'x' is a tensor of an unknown type")


def test_invalid_onnx_graph(tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(relu())
    model.graph.node[0].input[0] = "nowhere"
    message = refusal(write(tmp_path / "loose.onnx", model.SerializeToString()))
    assert "loose.onnx" in message
    assert "nowhere" in message


@pytest.mark.parametrize(
    ("operator", "operands", "missing"),
    [
        ("MaxUnpool", ["x"], "I"),
        ("Concat", ["x", "", "x"], "inputs"),
        ("Add", ["x", ""], "B"),
    ],
)
def test_missing_operands(operator: str, operands: list[str], missing: str, tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(relu())
    (node,) = model.graph.node
    node.op_type, node.name = operator, "n"
    node.input[:] = [model.graph.input[0].name if name else "" for name in operands]
    message = refusal(write(tmp_path / "short.onnx", model.SerializeToString()))
    assert f"the operator {operator} (node 'n') lacks its operand {missing!r}" in message


def test_two_inputs_of_one_name(tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(relu())
    model.graph.input.append(model.graph.input[0])
    message = refusal(write(tmp_path / "twice.onnx", model.SerializeToString()))
    assert f"two inputs are called {model.graph.input[0].name!r}" in message


def test_two_constants_of_one_name(tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(relu())
    values = [numpy_helper.from_array(np.float32(value), "c") for value in (1.0, 1.0, 2.0)]
    model.graph.initializer.extend(values[:2])
    dero_tvm.load(model)
    model.graph.initializer.append(values[2])
    message = refusal(write(tmp_path / "twice.onnx", model.SerializeToString()))
    assert "two constants are called 'c', with different values" in message


def test_a_tensor_is_no_sequence(tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(relu())
    model.graph.node[0].op_type = "ConcatFromSequence"
    message = refusal(write(tmp_path / "sequence.onnx", model.SerializeToString()))
    assert "ConcatFromSequence of a tensor, which is no sequence" in message


@pytest.mark.parametrize("location", ["no\0thing", "x" * 5000])
def test_external_data_under_a_name_that_no_file_can_have(location: str, tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(relu())
    tensor = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    message = refusal(write(tmp_path / "nul.onnx", model.SerializeToString()))
    assert "which is no name of a file" in message
    assert len(message) < 400 + len(str(tmp_path))


def test_open_dimensions_without_input_shapes(tmp_path: Path) -> None:
    path = write(tmp_path / "open.onnx", relu(("batch", 3, None, 32)))
    assert refusal(path) == (
        f"{path}: input 'x' has the open shape [batch, 3, ?, 32]; fix it with "
        '--input-shapes "x:[1,3,224,32]"'
    )


def test_input_shapes_that_do_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "open.onnx", relu(("batch", 3)))
    assert refusal(path, input_shapes={"data": (1, 3)}) == (
        f"{path}: --input-shapes names 'data', but the model's inputs are: x [batch, 3]"
    )
    contradiction = "gives 'x' the shape [1, 4], which contradicts the model's [batch, 3]"
    assert contradiction in refusal(path, input_shapes={"x": (1, 4)})
    assert "contradicts" in refusal(path, input_shapes={"x": (1, 3, 1)})
    for size in (0, 1.0, "batch", None):
        assert "sizes must be positive whole" in refusal(path, input_shapes={"x": (size, 3)})


def test_shape_known_only_at_run_time() -> None:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["y"])],
        "found",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.INT64, (2, "count"))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert "'y'" in refusal(model)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("Matmul requires:\n  more"), "Matmul requires:"),
        (TypeError("Reshape requires a shape"), "Reshape requires a shape"),
        (TypeError("'NoneType' object is not iterable"), "it has a form that"),
        (TypeError("unsupported operand type(s) for +: 'int' and 'str'"), "it has a form that"),
        (KeyError("num_heads"), "it has a form that is not supported"),
        (AttributeError("'Type' object has no attribute 'shape'"), "it has a form that"),
        (RuntimeError("Check failed: (a == b) is false: no such axis"), "no such axis"),
        (RuntimeError("Check failed: a == b (1 vs. 0) : no such axis"), "no such axis"),
        (RuntimeError("Check failed: (a == b) is false: "), "it has a form that is not"),
        (
            RuntimeError("Traceback:\n  File x.cc\nInternalError: Check failed: (a) is false: b"),
            "b",
        ),
        (RuntimeError(""), "RuntimeError"),
        (AssertionError(), "it has a form that is not supported"),
        (TypeError("argument of type 'PrimType' is not iterable"), "it has a form that"),
        (
            ValueError('In ir.Op(name="relax.add", support_level=10), dim 1 is T.int64(-2) and'),
            "dim 1 is -2 and",
        ),
    ],
)
def test_what_is_told_of_other_libraries_errors(error: Exception, text: str) -> None:
    told = first_line(error)
    assert told.startswith(text)
    assert "Check failed" not in told and "InternalError" not in told


def test_only_errors_made_for_users_come_out() -> None:
    @internal_errors
    def fails(error: Exception) -> None:
        raise error

    with pytest.raises(InternalError, match="^internal error: ValueError: odd; please report"):
        fails(ValueError("odd"))
    for error in (UserError("as it is"), MemoryError(), OSError("disk"), InternalError("known")):
        with pytest.raises(type(error)) as caught:
            fails(error)
        assert caught.value is error
    with pytest.raises(TypeError, match="unexpected keyword"):
        fails(mistake=1)


def test_onnx_node_that_cannot_be_converted(capfd: pytest.CaptureFixture[str]) -> None:
    graph = helper.make_graph(
        [helper.make_node("OneHot", ["x", "depth", "values"], ["y"], name="places")],
        "deep",
        [
            helper.make_tensor_value_info("x", TensorProto.INT64, (4,)),
            helper.make_tensor_value_info("depth", TensorProto.INT64, ()),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (4, 3))],
        [numpy_helper.from_array(np.array([0, 1], "float32"), "values")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    message = refusal(model)
    assert (
        "cannot import the operator OneHot (node 'places'): its depth and values are computed"
        in message
    )
    assert capfd.readouterr() == ("", ""), "TVM must not add lines of its own"


@pytest.mark.parametrize("code", ["ConstantOfShape", "Constant"])
def test_empty_tensor(code: str) -> None:
    none = numpy_helper.from_array(np.zeros(0, "float32"))
    given = {"inputs": ["shape"]} if code == "ConstantOfShape" else {"inputs": [], "value": none}
    graph = helper.make_graph(
        [helper.make_node(code, outputs=["z"], **given)],
        "nothing",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [0])],
        [numpy_helper.from_array(np.zeros(1, "int64"), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(UserError, match=r"'z' has the shape \[0\], which has no elements"):
        dero_tvm.compile(model)


def test_too_many_rows() -> None:
    tall = onnx.ModelProto.FromString(relu((1, 2, 1 << 18, 1)))
    pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 1], pads=[1, 0, 1, 0])
    tall.graph.node[0].CopyFrom(pool)
    with pytest.raises(UserError, match="has 262,144 rows, more than the 131,072 that can be"):
        dero_tvm.compile(tall)


def test_empty_tensor_between_operators() -> None:
    nodes = [
        helper.make_node("Slice", ["x", "none", "none", "last"], ["p"]),
        helper.make_node("GlobalAveragePool", ["p"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "thin",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 6, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 1, 1])],
        [numpy_helper.from_array(np.array([n]), k) for k, n in (("none", 0), ("last", 3))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert "uses a tensor of shape [1, 2, 6, 0], which has no elements" in refusal(model)


def test_what_watches_an_untrusted_file_opens_none_itself() -> None:
    """Where Python has not asked for the folder of temporary files yet."""
    program = (
        "import os, tempfile\n"
        "from dero_tvm.frontends.untrusted import untrusted\n"
        "tempfile.tempdir = None\n"
        "with untrusted():\n"
        "    tempfile.tempdir = None\n"
        "    assert tempfile.gettempdir()\n"
        "    open(os.devnull, 'rb').close()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
