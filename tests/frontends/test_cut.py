"""Networks cut at tensors that the user names, and the refusals that say where to cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import dero_tvm
from dero_tvm import UserError
from dero_tvm.cli.main import tvmc
from tests.compiled.c_batch import library_of, whole_program
from tests.end_to_end.oracles import onnx_runtime, relative_difference
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference

IMAGE = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)


def detector(*, custom: bool = True, batch: int | str = 1) -> onnx.ModelProto:
    """x -> stem -> relu -> head -> scores, and behind them what only its author can compute."""
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(size=(4, 3, 3, 3)), "w2": rng.normal(size=(6, 4, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["stem"], "stem/conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["stem"], ["features"], "stem/relu"),
        helper.make_node("Conv", ["features", "w2"], ["boxes"], "head/conv"),
        helper.make_node("Sigmoid", ["boxes"], ["scores"], "head/sigmoid"),
    ]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)]
    if custom:
        nodes += [
            helper.make_node("Custom", ["boxes", "scores", "w"], ["kept"], domain="my"),
            helper.make_node("Add", ["kept", "scores"], ["y"]),
        ]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, 3, 8, 8))],
        outputs,
        [numpy_helper.from_array(v.astype("float32"), name) for name, v in weights.items()],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("my", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def all_tensors() -> dict[str, np.ndarray]:
    """Every tensor of the detector that ONNX Runtime can compute."""
    model = detector(custom=False)
    for name in ("stem", "features", "boxes"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return onnx_runtime(model, [{"x": IMAGE}])[0]


def run(model: dero_tvm.LoadedModel, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return library_of({"m": whole_program(model)}).run("m", inputs)[0]


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (None, "scores,boxes"),
        (None, ["features"]),
        ("features", "scores"),
        (["stem"], ("features", "boxes")),
    ],
)
def test_a_part_of_onnx(inputs, outputs) -> None:
    loaded = dero_tvm.load(detector(), inputs=inputs, outputs=outputs)
    expected = all_tensors()
    wanted = outputs.split(",") if isinstance(outputs, str) else list(outputs)
    assert [port.name for port in loaded.outputs] == wanted
    found = run(loaded, {p.name: {"x": IMAGE, **expected}[p.name] for p in loaded.inputs})
    for name in wanted:
        assert relative_difference(found[name], expected[name]) <= 1e-5


def test_shapes_of_tensors_that_become_inputs_may_be_open() -> None:
    cut = {"inputs": "features", "outputs": "boxes"}
    with pytest.raises(UserError, match=r"input 'features' has the open shape \[n, 4, 8, 8\]"):
        dero_tvm.load(detector(batch="n"), **cut)
    loaded = dero_tvm.load(detector(batch="n"), **cut, input_shapes={"features": (2, 4, 8, 8)})
    assert loaded.outputs[0].shape == (2, 6, 8, 8)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ({"outputs": "score"}, "--outputs names 'score', which is no tensor .* near .*'scores'"),
        ({"outputs": "head/conv"}, "what 'head/conv' computes is 'boxes'"),
        ({"outputs": "hed/conv"}, "near names: 'boxes'"),
        ({"outputs": "qqq"}, "no tensor of the model; it gives 'y'$"),
        ({"outputs": "w"}, "'w', a constant of the file"),
        ({"outputs": "x"}, "'x', which is an input$"),
        ({"outputs": "boxes,boxes"}, "names 'boxes' twice"),
        ({"outputs": ","}, "names nothing"),
        ({"inputs": "boxes", "outputs": "stem"}, "'boxes', on which 'stem' does not depend"),
        ({"inputs": "scores"}, "besides 'scores', 'y' also depends on the input 'x'"),
        ({"inputs": "kept,scores"}, "'kept', whose type and shape neither"),
    ],
)
def test_names_that_do_not_fit(cut: dict, message: str) -> None:
    with pytest.raises(UserError, match=f"the ONNX model 'detector': .*{message}"):
        dero_tvm.load(detector(), **cut)


def test_a_name_may_have_commas() -> None:
    model = detector(custom=False)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["a,b" if name == "features" else name for name in names]
    loaded = dero_tvm.load(model, outputs="scores,a,b,stem")
    assert [port.name for port in loaded.outputs] == ["scores", "a,b", "stem"]


def test_a_refusal_of_onnx_says_where_to_cut() -> None:
    with pytest.raises(UserError, match=r"my\.Custom .*; to compile .*: --outputs boxes,scores$"):
        dero_tvm.load(detector())
    model = detector()
    del model.graph.node[:-2]
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 6, 8, 8))
        for name in ("boxes", "scores")
    )
    with pytest.raises(UserError, match="computing 'kept'\\)$"):  # nothing comes before
        dero_tvm.load(model)


def tflite(end: str) -> bytes:
    """A convolution, and behind it an operator of somebody's own, a sum, or nothing."""
    b = TFLiteBuilder()
    rng = np.random.default_rng(2)
    x = b.input("x", (1, 6, 6, 3), "int8", scale=0.05, zero_point=3)
    w = b.constant("w", rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), scale=0.01)
    bias = b.constant("bias", np.arange(4, dtype=np.int32), scale=0.0005)
    y, z = (b.tensor(n, (1, 4, 4, 4), "int8", scale=0.2, zero_point=-5) for n in ("a;b", "z"))
    b.operator("CONV_2D", [x, w, bias], [y])
    if end == "custom":
        b.operator("CUSTOM", [y, w], [z], custom_code="MyDetection")
    elif end == "sum":
        b.operator("ADD", [y, y], [z])
    return b.build(outputs=[z if end else y])


def test_tflite() -> None:
    with pytest.raises(UserError, match=r"CUSTOM MyDetection \('z'\); .*: --outputs 'a;b'$"):
        dero_tvm.load(tflite("custom"))
    loaded = dero_tvm.load(tflite("custom"), outputs="a;b")
    data = np.random.default_rng(3).integers(-128, 128, (1, 6, 6, 3)).astype(np.int8)
    (middle,) = run_litert_reference(tflite(""), {"x": data})
    np.testing.assert_array_equal(run(loaded, {"x": data})["a;b"], middle)
    loaded = dero_tvm.load(tflite("sum"), inputs="a;b")
    (expected,) = run_litert_reference(tflite("sum"), {"x": data})
    np.testing.assert_array_equal(run(loaded, {"a;b": middle})["z"], expected)


def test_pytorch() -> None:
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 4, 3)
            self.head = torch.nn.Conv2d(4, 2, 1)

        def forward(self, x, y):
            features = torch.relu(self.stem(x))
            return torch.bincount(self.head(features).flatten().to(torch.int64).abs()) + y

    torch.manual_seed(0)
    network = Network().eval()
    data = torch.from_numpy(IMAGE)
    program = torch.export.export(network, (data, torch.ones(1)))
    with pytest.raises(UserError, match="unsupported operators: bincount .*--outputs abs_1$"):
        dero_tvm.load(program)
    loaded = dero_tvm.load(program, outputs="relu")
    assert [p.name for p in loaded.inputs] == ["x"]  # y is read behind the cut
    features = torch.relu(network.stem(data)).detach()
    assert relative_difference(run(loaded, {"x": IMAGE})["relu"], features.numpy()) <= 1e-5
    loaded = dero_tvm.load(program, inputs="relu", outputs="convolution_1")
    expected = network.head(features).detach().numpy()
    found = run(loaded, {"relu": features.numpy()})["convolution_1"]
    assert relative_difference(found, expected) <= 1e-5
    for name in ("head", "conv2d_1"):
        with pytest.raises(UserError, match=f"what '{name}' computes is 'convolution_1'"):
            dero_tvm.load(program, outputs=name)


def test_a_part_is_quantized() -> None:
    calibration = {"x": np.random.default_rng(4).normal(size=(4, *IMAGE.shape)).astype("float32")}
    result = dero_tvm.quantize(detector(), calibration, outputs="boxes")
    assert [value.name for value in result.model.graph.output] == ["boxes"]
    assert dero_tvm.load(result.model).outputs[0].shape == (1, 6, 8, 8)


def test_a_model_that_is_read_already_is_not_cut() -> None:
    with pytest.raises(UserError, match="give them to load"):
        dero_tvm.compile(dero_tvm.load(detector(custom=False)), outputs="boxes")


def test_command_line(tmp_path: Path) -> None:
    path = tmp_path / "detector.onnx"
    onnx.save(detector(), path)
    for command in (["compile"], ["fit", "--board", "mps2-an386"], ["report", "--sweep"]):
        arguments = [*command, str(path), "--outputs", "boxes,scores"]
        if command[0] == "report":
            arguments += ["--device", "none"]
        result = CliRunner().invoke(tvmc, arguments)
        assert result.exit_code == 0, result.output
        assert CliRunner().invoke(tvmc, [*command, str(path)]).exit_code == 1
