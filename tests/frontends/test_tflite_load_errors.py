"""Everything a user can get wrong with a TFLite file is one line that names it."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import dero_tvm
from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from tests.frontends.refusals import refusal, write
from tests.models.tflite_builder import TFLiteBuilder


def tflite_relu(**options: object) -> TFLiteBuilder:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "float32", **options)
    y = builder.tensor("y", (1, 4), "float32")
    builder.operator("RELU", [x], [y])
    return builder


def test_unsupported_tflite_operators_are_listed_together(tmp_path: Path) -> None:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "float32")
    a = builder.tensor("a", (1, 4), "float32")
    b = builder.tensor("b", (1, 4), "float32")
    builder.operator("CUSTOM", [x], [a], custom_code="Wobble")
    builder.operator("DELEGATE", [a], [b])
    builder.operator("COMPLEX_ABS", [b], [b])
    path = write(tmp_path / "odd.tflite", builder.build([b]))
    message = refusal(path)
    assert message.startswith(f"{path}: unsupported operators: CUSTOM Wobble ('a')")


def test_tflite_weights_of_float_and_of_integer_layers(tmp_path: Path) -> None:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "float32")
    q = builder.input("q", (1, 4), "int8", scale=0.1)
    w = builder.constant("w", np.ones((3, 4), "int8"), scale=0.1)
    y = builder.tensor("y", (1, 3), "float32")
    z = builder.tensor("z", (1, 3), "int8", scale=0.1)
    builder.operator("FULLY_CONNECTED", [x, w], [y])
    builder.operator("FULLY_CONNECTED", [q, w], [z])
    message = refusal(write(tmp_path / "mixed.tflite", builder.build([y, z])))
    assert "FULLY_CONNECTED ('y')" in message
    assert "full integer quantization" in message


def test_tflite_types_states_and_subgraphs(tmp_path: Path) -> None:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "int16", scale=0.1)
    y = builder.tensor("y", (1, 4), "int16", scale=0.1)
    builder.operator("EXP", [x], [y])
    path = write(tmp_path / "model.tflite", builder.build([y]))
    assert refusal(path).startswith(
        f"{path}: tensor 'x' of EXP ('y') has the unsupported type int16 (EXP has no int16 form)"
    )

    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "int16", scale=0.1, zero_point=3)
    y = builder.tensor("y", (1, 4), "int16", scale=0.1)
    builder.operator("RELU", [x], [y])
    assert "'x' of RELU ('y') is int16 with a zero point other than 0" in refusal(
        builder.build([y])
    )

    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4, 4, 2), "int16", scale=0.1)
    w = builder.constant("w", np.ones((1, 2, 2, 2), np.int8), scale=[0.1, 0.1], axis=3)
    b = builder.constant("b", np.ones(2, np.int32), scale=[0.01, 0.01])
    y = builder.tensor("y", (1, 3, 3, 2), "int16", scale=0.1)
    builder.operator("DEPTHWISE_CONV_2D", [x, w, b], [y])
    assert "DEPTHWISE_CONV_2D ('y') on int16 has a bias of int32" in refusal(builder.build([y]))

    builder = tflite_relu()
    path = write(tmp_path / "model.tflite", builder.build([1], subgraphs=2))
    assert refusal(path).startswith(f"{path} has 2 subgraphs")

    builder = tflite_relu()
    state = builder.tensor("state", (1, 4), "float32", is_variable=True)
    builder.operator("ADD", [1, state], [builder.tensor("z", (1, 4), "float32")])
    assert "the variable 'state' of ADD ('z') keeps state" in refusal(builder.build([1]))

    builder = tflite_relu()
    builder.operator("HASHTABLE", [], [builder.tensor("table", (), "resource")])
    assert "tables that it fills at run time (HASHTABLE)" in refusal(builder.build([1]))

    builder = tflite_relu()
    builder.operator("WHILE", [1], [builder.tensor("z", (1, 4), "float32")])
    assert "branches at run time (WHILE)" in refusal(builder.build([1], subgraphs=3))


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("ethos-u", "an Arm Ethos-U, by Vela"),
        ("edgetpu-custom-op", "a Coral Edge TPU, by the Edge TPU compiler"),
        ("NeutronGraph", "an eIQ Neutron accelerator, by NXP's converter"),
        ("XC_conv2d_v2", "an xcore processor, by XMOS' optimizer"),
    ],
)
def test_tflite_of_an_accelerator(name: str, machine: str) -> None:
    """Whose tensors follow rules of their own."""
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "int8", scale=0.1)
    program = builder.tensor("program", (100,), "uint8")
    scratch = builder.tensor("scratch", (-5,), "int8")
    y = builder.tensor("y", (1, 4), "int8", scale=0.1)
    builder.operator("CUSTOM", [x, program, scratch], [y], custom_code=name)
    message = refusal(builder.build([y]))
    assert f"is compiled for {machine} (its custom operator {name!r}" in message
    assert "give the file from which it was made" in message


def test_tflite_operand_that_must_be_constant(capfd: pytest.CaptureFixture[str]) -> None:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "float32")
    pads = builder.input("pads", (2, 2), "int32")
    y = builder.tensor("y", (1, 6), "float32")
    builder.operator("PAD", [x, pads], [y])
    message = refusal(builder.build([y]))
    assert "cannot import the operator PAD that computes 'y'" in message
    assert "operand 'pads' must be a constant" in message
    assert capfd.readouterr() == ("", ""), "TVM must not add lines of its own"


def test_tflite_slice_of_a_computed_size() -> None:
    builder = TFLiteBuilder()
    start = builder.input("start", (1,), "int32")
    x = builder.input("x", (4,), "float32")
    y = builder.tensor("y", (2,), "float32")
    builder.operator("SLICE", [x, start, builder.constant("size", [-1], "int32")], [y])
    message = refusal(builder.build([y]))
    assert "cannot import the operator SLICE that computes 'y'" in message
    assert "export it with a constant size" in message


def test_tflite_input_shapes() -> None:
    model = tflite_relu(shape_signature=(-1, 4)).build([1])
    assert load(model).inputs[0].shape == (1, 4)
    assert "contradicts the model's [?, 4]" in refusal(model, input_shapes={"x": (2, 5)})
    assert "inputs are: x [?, 4]" in refusal(model, input_shapes={"z": (2, 4)})
    fixed = tflite_relu().build([1])
    assert "contradicts the model's [1, 4]" in refusal(fixed, input_shapes={"x": (2, 4)})


def convolution() -> bytes:
    builder = TFLiteBuilder()
    rng = np.random.default_rng(0)
    x = builder.input("x", (1, 6, 6, 3), "int8", scale=0.1)
    w = builder.constant("w", rng.integers(-9, 9, (4, 3, 3, 3), "int8"), scale=[0.1] * 4)
    b = builder.constant("b", rng.integers(-9, 9, 4, "int32"), scale=[0.01] * 4)
    y = builder.tensor("y", (1, 6, 6, 4), "int8", scale=0.1)
    builder.operator("CONV_2D", [x, w, b], [y], padding="SAME")
    return builder.build([y])


def test_truncated_tflite(tmp_path: Path) -> None:
    data = convolution()
    path = tmp_path / "cut.tflite"
    for length in range(1, len(data) - 4, 3):
        message = refusal(write(path, data[:length]))
        assert message.startswith(f"{path} is not a readable TFLite model (")


def test_damaged_tflite_never_escapes_as_another_exception() -> None:
    data = convolution()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for position in rng.integers(8, len(data), 3):
            damaged[position] = rng.integers(0, 256)
        try:
            load(bytes(damaged))
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 30


@pytest.mark.parametrize(
    ("scales", "zero_points", "said"),
    [
        ([], [], "tensor 'y' is int8 without a scale; convert the model again"),
        ([0.5] * 3, [0], "tensor 'y' of CONV_2D ('y') has 3 scales and 1 zero points"),
        ([0.5] * 4, [0] * 4, "tensor 'y' is computed and has several scales, as constants alone"),
    ],
)
def test_scales_of_a_result(scales: list[float], zero_points: list[int], said: str) -> None:
    model = schema.ModelT.InitFromPackedBuf(bytearray(convolution()))
    quantization = model.subgraphs[0].tensors[3].quantization
    quantization.scale = np.array(scales, "float32")
    quantization.zeroPoint = np.array(zero_points, "int64")
    quantization.quantizedDimension = 3
    assert said in refusal(packed(model))


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_options_of_another_operator() -> None:
    model = schema.ModelT.InitFromPackedBuf(bytearray(convolution()))
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
    operator.builtinOptions = schema.Pool2DOptionsT()
    assert "CONV_2D that computes 'y': it has a form that is not supported" in refusal(
        packed(model)
    )


def test_names_without_an_end() -> None:
    builder = TFLiteBuilder()
    x = builder.input("x" * 100_000, (1, 4), "float32")
    y = builder.tensor("y" * 100_000, (1, 4), "float32")
    builder.operator("CUSTOM", [x], [y], custom_code="c" * 100_000)
    with pytest.raises(
        UserError, match=r"unsupported operators: CUSTOM c+\.\.\.c+ \('y+"
    ) as caught:
        load(builder.build([y]))
    assert len(str(caught.value)) < 3_000


def test_zero_point_outside_of_its_type(tmp_path: Path) -> None:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "int8", scale=0.5, zero_point=-129)
    y = builder.tensor("y", (1, 4), "int8", scale=0.5, zero_point=-129)
    builder.operator("RELU", [x], [y])
    message = refusal(write(tmp_path / "far.tflite", builder.build(outputs=[y])))
    assert "tensor 'x' of RELU ('y') has a zero point outside of its type int8: [-129]" in message


@pytest.mark.parametrize(
    ("operators", "reason"),
    [
        (
            ["ADD xb a", "RELU a b", "TANH b y"],
            "tensors depend on themselves: 'b' <- 'a' <- 'b', where RELU (operator 1) computes 'b'",
        ),
        (
            ["TANH a y", "ADD xa a"],  # a is read too early, too, but no order would be right
            "tensors depend on themselves: 'a' <- 'a', where ADD (operator 1) computes 'a'",
        ),
        (
            ["RELU x y", "TANH x y"],
            "two operators compute the tensor 'y': RELU (operator 0) and TANH (operator 1)",
        ),
        (["TOPK_V2 xn yy"], "TOPK_V2 (operator 0) computes the tensor 'y' twice"),
        (["RELU x x"], "RELU (operator 0) computes the tensor 'x', which is an input"),
        (
            ["RELU x y", "TANH y k"],
            "TANH (operator 1) computes the tensor 'k', which is a constant",
        ),
        (
            ["RELU a y", "TANH b a", "RELU x b"],
            "RELU (operator 0) reads the tensor 'a' before TANH (operator 1) computes it",
        ),
        (["RELU x a"], "the output 'y' is computed by no operator"),
    ],
)
def test_operators_in_no_order(operators: list[str], reason: str) -> None:
    builder = TFLiteBuilder()
    tensors = {name: builder.tensor(name, (1, 4)) for name in "aby"}
    tensors["x"] = builder.input("x", (1, 4))
    tensors["k"] = builder.constant("k", np.ones((1, 4), "float32"))
    tensors["n"] = builder.constant("n", 4, "int32")
    for code, operands, results in map(str.split, operators):
        builder.operator(code, [tensors[n] for n in operands], [tensors[n] for n in results])
    assert reason in refusal(builder.build([tensors["y"]]))


def test_an_input_listed_twice() -> None:
    builder = tflite_relu()
    builder._inputs.append(0)
    assert "two inputs are the tensor 'x'" in refusal(builder.build([1]))


def test_outputs_that_no_operator_computes() -> None:
    """Inputs and constants are there without one."""
    builder = tflite_relu()
    k = builder.constant("k", np.ones((1, 4), "float32"))
    assert [output.name for output in load(builder.build([1, k, 0])).outputs] == ["y", "k", "x"]


def test_operators_that_tvm_cannot_compile_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 4), "int32")
    z = builder.input("z", (1, 4), "int32")
    y = builder.tensor("risen", (1, 4), "int32")
    total = builder.tensor("total", (1, 4), "int32")
    builder.operator("POW", [x, z], [y])
    builder.operator("ADD", [y, x], [total])
    with pytest.raises(UserError) as caught:
        dero_tvm.compile(builder.build([total]))
    assert str(caught.value) == (
        "model: operator relax.power cannot be compiled (power only applies to float); replace it "
        "in the model (in the model: POW 'risen')"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("step", [1, -1])
def test_a_slice_without_elements(step: int, tmp_path: Path) -> None:
    """Whichever side of its begin it ends on."""
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 5), "float32")
    bounds = [[0, 3], [1, 3 - 2 * step], [1, step]]
    operands = [builder.constant(f"c{i}", bound, "int32") for i, bound in enumerate(bounds)]
    y = builder.tensor("y", None, "float32")
    builder.operator("STRIDED_SLICE", [x, *operands], [y])
    message = refusal(write(tmp_path / "empty.tflite", builder.build([y])))
    assert message.endswith(
        "output 'y' has the shape [1, 0], which has no elements; empty tensors are not supported"
    )
