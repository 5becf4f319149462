"""Normalizations: rows against NumPy, networks in C against their frameworks."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec, operator_of
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel, random_array
from tests.end_to_end.oracles import litert, onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder
from tests.random_cases import cases

IN = {"input_scale": 0.05, "input_zero_point": 3}
OUT = {"output_scale": 0.04, "output_zero_point": -5}


def operands(rng, shape, integers):
    """Data whose mean is far from 0, what it stands for, and a weight and a bias."""
    data = random_array(rng, shape, "int8" if integers else "float32")
    real = (data.astype("float64") - 3) * 0.05 if integers else data.astype("float64") + 20
    vectors = [random_array(rng, shape[-1:], "float32") for _ in range(2)]
    return data if integers else real.astype("float32"), real, vectors


def rounded(real):
    return np.clip(np.rint(real / 0.04) - 5, -128, 127).astype("int8")


def check_rounded(name, arrays, real, integers, **attrs):
    """Of int8 data, an int8 result: the step where the real number is not close to a tie."""
    if not integers:
        return check_kernel(name, arrays, real.astype("float32"), rtol=2e-4, **attrs)
    steps = real / 0.04
    assert np.abs(steps - np.floor(steps) - 0.5).min() > 1e-4  # as the seeds have it
    return check_kernel(name, arrays, rounded(real), **attrs, **IN, **OUT)


@given(
    st.tuples(st.integers(1, 2), *[st.integers(1, 5)] * 3),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 2**32 - 1),
)
@cases(20)
def test_rows_of_layers(shape, centered, integers, gap, out_gap, seed) -> None:
    data, real, (weight, bias) = operands(np.random.default_rng(seed), shape, integers)
    mean = real.mean(-1, keepdims=True) if centered else 0.0
    deviation = np.sqrt(((real - mean) ** 2).mean(-1, keepdims=True) + 0.01)
    expected = (real - mean) / deviation * weight + bias
    steps = expected / 0.04
    if integers and np.abs(steps - np.floor(steps) - 0.5).min() <= 1e-4:
        return
    in_place = (0,) if gap == out_gap else ()
    check_rounded("layer_norm", [data, weight, bias], expected, integers, gaps=[gap],
                  out_gap=out_gap, in_place=in_place, centered=centered, epsilon=0.01)  # fmt: skip


@given(
    st.tuples(st.integers(1, 2), *[st.integers(1, 5)] * 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2**32 - 1),
)
@cases(20)
def test_rows_of_groups(image, groups, size, integers, gap, seed) -> None:
    shape = (*image, groups * size)
    data, real, (weight, bias) = operands(np.random.default_rng(seed), shape, integers)
    parts = real.reshape(*image, groups, size)
    mean, variance = (f(parts, axis=(1, 2, 4)) for f in (np.mean, np.var))
    reciprocal = 1 / np.sqrt(variance + 0.01)
    moments = np.stack([mean, reciprocal], 1)[:, None].astype("float32")
    of_data = IN if integers else {}
    check_kernel("moments", [data], moments, rtol=2e-4, gaps=[gap], in_place=(), groups=groups,
                 epsilon=0.01, **of_data)  # fmt: skip
    scaled = (parts - mean[:, None, None, :, None]) * reciprocal[:, None, None, :, None]
    expected = scaled.reshape(shape) * weight + bias
    steps = expected / 0.04
    if integers and np.abs(steps - np.floor(steps) - 0.5).min() <= 1e-4:
        return
    check_rounded("normalize", [data, moments, weight, bias], expected, integers, gaps=[gap])


@pytest.mark.parametrize(
    ("name", "shapes", "attrs", "message"),
    [
        ("layer_norm", [(2, 3), (3,), (2,)], {"epsilon": 0.1}, "3 float32 numbers"),
        ("layer_norm", [(2, 3), (3,), (3,)], {"input_scale": 0.1}, "float32 has none"),
        ("moments", [(1, 2, 2, 6)], {"groups": 4}, "6 channels are not 4 groups"),
        ("normalize", [(1, 2, 6), (1, 2, 3), (6,), (6,)], {}, "moments of shape"),
    ],
)
def test_refusals(name, shapes, attrs, message) -> None:
    operator = operator_of(f"dero.{name}")
    specs = tuple(TensorSpec(shape, "float32") for shape in shapes)
    with pytest.raises(ValueError, match=message):
        operator.infer(specs, operator.defaults | attrs)


# --- networks --------------------------------------------------------------------------------

CHANNELS = 6
SPELLINGS = ("layer", "channels", "instance", "groups", "reshaped groups", "written out", "root")


def normalized(model: QDQModel, rng: np.random.Generator, data: str, spelling: str) -> str:
    """`data`, [1, 6, 8, 7], normalized in one of the ways in which ONNX files say it."""

    def vector(*shape: int) -> str:
        return model.constant(rng.uniform(0.5, 1.5, shape).astype("float32"))

    def mean(of: str, *axes: int) -> str:
        return model.node("ReduceMean", of, model.constant(np.array(axes)))

    if spelling == "layer":
        moved = model.node("Transpose", data, perm=[0, 2, 3, 1])
        moved = model.node("LayerNormalization", moved, vector(CHANNELS), vector(CHANNELS))
        return model.node("Transpose", moved, perm=[0, 3, 1, 2])
    if spelling == "instance":
        return model.node("InstanceNormalization", data, vector(CHANNELS), vector(CHANNELS))
    if spelling == "groups":
        return model.node("GroupNormalization", data, vector(3), vector(3), num_groups=3)
    if spelling == "reshaped groups":
        ones, zeros = (model.constant(np.full(3, n, "float32")) for n in (1, 0))
        flat = model.node("Reshape", data, model.constant(np.array([0, 3, -1])))
        flat = model.node("InstanceNormalization", flat, ones, zeros)
        back = model.node("Reshape", flat, model.constant(np.array([1, CHANNELS, 8, 7])))
        scaled = model.node("Mul", back, vector(CHANNELS, 1, 1))
        return model.node("Add", scaled, vector(CHANNELS, 1, 1))
    tiny = model.constant(np.float32(1e-5))
    axes = (1,) if spelling == "channels" else (2, 3)
    if spelling == "root":
        axes, difference = (1,), data
    else:
        difference = model.node("Sub", data, mean(data, *axes))
    square = model.node("Pow", difference, model.constant(np.float32(2)))
    root = model.node("Sqrt", model.node("Add", mean(square, *axes), tiny))
    if spelling != "written out":
        return model.node("Mul", model.node("Div", difference, root), vector(CHANNELS, 1, 1))
    factor = model.node("Mul", model.node("Reciprocal", root), vector(CHANNELS, 1, 1))
    offset = model.node("Sub", vector(CHANNELS, 1, 1), model.node("Mul", mean(data, 2, 3), factor))
    return model.node("Add", model.node("Mul", data, factor), offset)


def network(spelling: str, integers: bool) -> onnx.ModelProto:
    rng = np.random.default_rng(len(spelling))
    model = QDQModel()
    data = model.input("x", (1, CHANNELS, 8, 7))
    if integers:
        data = model.rounded(data, 0.05, np.int8(3))
        data = normalized(model, rng, data, spelling)
        data = model.rounded(model.node("Relu", data), 0.03, np.int8(-128))
        data = model.rounded(model.node("MaxPool", data, kernel_shape=[2, 2]), 0.03, np.int8(-128))
    else:
        weight = rng.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype("float32") / 8
        data = model.node("Conv", data, model.constant(weight), pads=[1, 1, 1, 1])
        data = normalized(model, rng, data, spelling)
        data = model.node("Conv", model.node("Relu", data), model.constant(weight[:1]))
    return model.build(y=(data, "float32"))


def test_onnx_networks(tmp_path) -> None:
    """float32 within 1e-5; between integers the same ones as ONNX Runtime, by rows either way."""
    networks = FrameworkNetworks()
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, 8, 7)).astype("float32") * 2
    for spelling in SPELLINGS:
        for integers in (False, True):
            model = network(spelling, integers)
            framework = partial(_onnx_runtime, model)
            compared = Network(load(model), framework, 0.0 if integers else 1e-5, x)
            label = f"{spelling.replace(' ', '_')}_{'int8' if integers else 'float32'}"
            called, _ = networks.add(label, compared)
            expected = {"dero.layer_norm"} if spelling in ("layer", "channels", "root") else {
                "dero.moments", "dero.normalize"
            }  # fmt: skip
            assert expected <= set(called), (label, called)
            assert all(operator.startswith("dero.") for operator in called), (label, called)
            assert not integers or "dero.dequantize" not in called[:-1], (label, called)
    networks.check_outputs(tmp_path)


def _onnx_runtime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnx_runtime(model, [{"x": x}])[0]["y"]


def keras_layer_normalization() -> bytes:
    """What the TFLite converter makes of Keras' LayerNormalization, in int8."""
    rng = np.random.default_rng(2)
    b = TFLiteBuilder()
    shape, one = (1, 6, 5, 8), (1, 6, 5, 1)
    x = b.input("x", shape, "int8", scale=0.05, zero_point=4)
    axis = b.constant("axis", np.array([3], "int32"))

    def step(code: str, operands: list, name: str, of: tuple, scale: float, zero: int, **options):
        made = b.tensor(name, of, "int8", scale=scale, zero_point=zero)
        b.operator(code, operands, [made], **options)
        return made

    def vector(name: str, size: int, scale: float, zero: int):
        values = rng.integers(1, 127, (size,)).astype("int8")
        return b.constant(name, values, scale=scale, zero_point=zero)

    mean = step("MEAN", [x, axis], "mean", one, 0.03, 2, keep_dims=True)
    squares = step("SQUARED_DIFFERENCE", [x, mean], "squares", shape, 0.12, -128)
    variance = step("MEAN", [squares, axis], "variance", one, 0.06, -128, keep_dims=True)
    moved = step("ADD", [variance, vector("tiny", 1, 0.001, 0)], "moved", one, 0.06, -128)
    root = step("RSQRT", [moved], "root", one, 0.02, -128)
    factor = step("MUL", [root, vector("gamma", 8, 0.01, 0)], "factor", shape, 0.01, -128)
    scaled = step("MUL", [x, factor], "scaled", shape, 0.06, 3)
    centre = step("MUL", [mean, factor], "centre", shape, 0.02, 1)
    offset = step("SUB", [vector("beta", 8, 0.01, 0), centre], "offset", shape, 0.03, -9)
    return b.build([step("ADD", [scaled, offset], "y", shape, 0.05, 0)])


def test_keras_layer_normalization_in_int8(tmp_path) -> None:
    model = keras_layer_normalization()
    x = np.random.default_rng(3).integers(-128, 128, (1, 6, 5, 8)).astype("int8")
    networks = FrameworkNetworks()
    compared = Network(load(model), lambda x: litert(model, [x])[0], 0.0, x)
    called, streamed = networks.add("keras", compared)
    assert all(operator.startswith("dero.") for operator in called), called
    assert not {"dero.dequantize", "dero.quantize"} & set(called)
    assert {"dero.reduce", "dero.squared_difference", "dero.lookup"} <= streamed
    networks.check_outputs(tmp_path)
