"""Post-training quantization: the numbers of the digits network, and every error."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import dero_tvm
from dero_tvm import Report
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.installation import pip_install
from dero_tvm.cli.main import tvmc
from dero_tvm.quantization.linear_nodes import linear_nodes

MODELS = Path(__file__).parents[2] / "examples" / "models"
DIGITS = MODELS / "digits_float32.onnx"


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    """Images under the name of the model's input, and their labels."""
    with np.load(MODELS / "digits_test.npz") as file:
        return {"image": file["images"], "labels": file["labels"]}


def test_accuracy_before_and_after(digits) -> None:
    calibration = {"image": digits["image"][:40]}
    quantized = dero_tvm.quantize(DIGITS, calibration, labelled=digits)
    assert quantized.labelled == len(digits["labels"])
    # By ONNX Runtime's own arithmetic, on the same images.
    before = accuracy(onnx.load(DIGITS), digits)
    after = accuracy(quantized.model, digits)
    assert (quantized.accuracy_before, quantized.accuracy_after) == (before, after)
    assert before > 0.95
    assert after > before - 0.02
    assert weight_scales(quantized.model) > 1


def accuracy(model, arrays) -> float:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    scores = [session.run(None, {"image": image[None]})[0].argmax() for image in arrays["image"]]
    return float(np.mean(np.array(scores) == arrays["labels"]))


def weight_scales(model) -> int:
    """The most scales that a quantized weight has."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    dequantized = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    return max(constants[node.input[1]].size for node in dequantized)


def test_command_line(digits, tmp_path: Path) -> None:
    np.savez(tmp_path / "calibration.npz", image=digits["image"][:20])
    np.savez(tmp_path / "test.npz", image=digits["image"][:50], labels=digits["labels"][:50])
    report = tmp_path / "report.json"
    words = ["compile", DIGITS, "--quantize", tmp_path / "calibration.npz", "--labels",
             tmp_path / "test.npz", "--integer-io", "--report", report]  # fmt: skip
    result = CliRunner().invoke(tvmc, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "Top-1 accuracy on 50 labelled inputs: " in text
    assert " % in float32, " in text
    written = Report.from_dict(json.loads(report.read_text()))
    assert written.model == "digits_float32"
    # Integers from end to end: no step's result is in float32.
    assert all(step.output.endswith(" int8") for step in written.steps)


def refused(model, calibration, **options) -> str:
    with pytest.raises(UserError) as error:
        dero_tvm.quantize(model, calibration, **options)
    return str(error.value)


def test_errors_about_the_model(tmp_path: Path) -> None:
    feed = {"image": np.zeros((1, 1, 8, 8), np.float32)}
    assert refused(MODELS / "digits_int8.onnx", feed).endswith(
        "digits_int8.onnx is quantized already (it has DequantizeLinear); quantization takes the "
        "float32 model"
    )
    other = tmp_path / "model.tflite"
    other.write_bytes(b"\0\0\0\0TFL3" + bytes(40))
    assert refused(other, feed) == (
        f"{other} is not an ONNX model: quantization takes float32 ONNX models"
    )
    assert refused(tmp_path / "none.onnx", feed) == f"{tmp_path / 'none.onnx'} does not exist"
    assert refused(tmp_path, feed).startswith(f"{tmp_path} is a folder")


def test_errors_about_the_inputs(digits, tmp_path: Path) -> None:
    where = "the calibration inputs"
    assert refused(DIGITS, {"picture": digits["image"]}) == (
        f"{where}: no input is named 'picture' (inputs: image)"
    )
    assert refused(DIGITS, {"image": np.zeros((5, 1, 9, 8), np.float32)}) == (
        f"{where}: input 'image' has the shape [5, 1, 9, 8], but the model takes [1, 1, 8, 8], or "
        "that with one more axis in front for several inferences"
    )
    assert "convert it with astype('float32')" in refused(DIGITS, {"image": np.zeros((1, 1, 8, 8))})
    assert refused(DIGITS, []) == "there are no calibration inputs"
    assert refused(DIGITS, tmp_path / "none.npz") == f"{tmp_path / 'none.npz'}: no such file"
    np.savez(tmp_path / "unnamed.npz", digits["image"])
    assert refused(DIGITS, tmp_path / "unnamed.npz") == (
        f"{tmp_path / 'unnamed.npz'}: no input is named 'arr_0' (inputs: image)"
    )


def test_errors_about_the_labels(digits) -> None:
    calibration = {"image": digits["image"][:2]}
    images = {"image": digits["image"][:3]}
    assert refused(DIGITS, calibration, labelled=images) == (
        "the labelled inputs: has no array 'labels' with the class of each input"
    )
    assert refused(DIGITS, calibration, labelled=images | {"labels": np.zeros(3)}) == (
        "the labelled inputs: 'labels' is float64 of shape [3], not one integer for each of 3 "
        "inputs"
    )
    assert refused(DIGITS, calibration, labelled=images | {"labels": np.array([1, 2, 10])}) == (
        "the label 10 is none of the 10 classes that the model tells apart"
    )


def test_without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def missing(name, *arguments, **options):
        if name.startswith("onnxruntime"):
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.delitem(
        __import__("sys").modules, "dero_tvm.quantization.onnx_runtime", raising=False
    )
    assert refused(DIGITS, {}) == (
        "quantization needs ONNX Runtime, which is not installed: " + pip_install("quantize")
    )


def test_labels_without_quantization(tmp_path: Path) -> None:
    result = CliRunner().invoke(tvmc, ["compile", str(DIGITS), "--labels", str(tmp_path / "x")])
    assert "--labels is for --quantize" in result.stderr


def test_linear_nodes() -> None:
    """A shortcut's chain and the norms; neither the join of a block nor a pooling of its own."""
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Mul", ["p", "four"], ["m"], "times"),
        helper.make_node("Pad", ["m", "amounts"], ["q"], "pad"),
        helper.make_node("BatchNormalization", ["q", *["v"] * 4], ["s"], "norm"),
        helper.make_node("Conv", ["x", "w"], ["y"], "conv", strides=[2, 2]),
        helper.make_node("Add", ["y", "s"], ["z"], "join"),
        helper.make_node("AveragePool", ["z"], ["a"], "other_pool", kernel_shape=[2, 2]),
        helper.make_node("Conv", ["a", "u"], ["b"], "other_conv"),
        helper.make_node("BatchNormalization", ["z", *["v"] * 4], ["n"], "before"),
        helper.make_node("Conv", ["n", "u"], ["o"], "last_conv"),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "o", "b")]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:])
    assert linear_nodes(graph) == ["pool", "times", "pad", "norm", "before"]
