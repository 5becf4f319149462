"""Quantization and dequantization against LiteRT, ONNX Runtime and NumPy."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from relax_passes.operators import OperatorClass, TensorSpec, operator_of
from tests.compiled.operator_checks import check_kernel, random_array
from tests.compiled.row_kernel_runner import RowKernel
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)
scales = st.floats(-20.0, 12.0).map(lambda exponent: float(np.float32(2.0**exponent)))
zero_points = st.integers(-128, 127)
gaps = st.integers(0, 2)
seeds = st.integers(0, 2**32 - 1)


def litert(code, array, scale, zero_point):
    int8 = {"scale": scale, "zero_point": zero_point}
    builder = TFLiteBuilder()
    if code == "QUANTIZE":
        data = builder.input("data", array.shape, "float32")
        out = builder.tensor("out", None, "int8", **int8)
    else:
        data = builder.input("data", array.shape, "int8", **int8)
        out = builder.tensor("out", None, "float32")
    builder.operator(code, [data], [out], version=2)
    (result,) = run_litert_reference(builder.build(outputs=[out]), {"data": array})
    return result


def onnx_runtime_quantize(array, scale, zero_point):
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "scale", "zero_point"], ["y"])],
        "quantize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, array.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT8, array.shape)],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
            helper.make_tensor("zero_point", TensorProto.INT8, [], [zero_point]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": array})[0]


def reals(rng, shape, scale):
    """Numbers around the representable range, a third of them exact ties."""
    steps = rng.uniform(-300, 300, shape)
    ties = np.floor(steps) + 0.5
    return (np.where(rng.random(shape) < 0.33, ties, steps) * scale).astype("float32")


@given(shapes, scales, zero_points, gaps, gaps, seeds)
@cases(25)
def test_half_away_equals_litert(shape, scale, zero_point, gap, out_gap, seed):
    array = reals(np.random.default_rng(seed), shape, scale)
    expected = litert("QUANTIZE", array, scale, zero_point)
    check_kernel("quantize", [array], expected, gaps=[gap], out_gap=out_gap,
                 scale=scale, zero_point=zero_point)  # fmt: skip


@given(shapes, scales, zero_points, seeds)
@cases(25)
def test_half_even_equals_onnx_runtime(shape, scale, zero_point, seed):
    array = reals(np.random.default_rng(seed), shape, scale)
    expected = onnx_runtime_quantize(array, scale, zero_point)
    check_kernel("quantize", [array], expected,
                 scale=scale, zero_point=zero_point, rounding="half_even")  # fmt: skip


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("half_away", [-3, -2, -1, 0, 0, 1, 2, 3]),
        ("half_even", [-2, -2, 0, 0, 0, 0, 2, 2]),
    ],
)
def test_ties_and_their_neighbours(rounding, expected):
    below_half = np.nextafter(np.float32(0.5), np.float32(0))
    values = [-2.5, -1.5, -0.5, -below_half, below_half, 0.5, 1.5, 2.5]
    array = np.array(values, "float32").reshape(1, 8)
    check_kernel("quantize", [array], np.array([expected], "int8"), scale=1.0, rounding=rounding)


@pytest.mark.parametrize("rounding", ["half_away", "half_even"])
def test_infinities_and_nan(rounding):
    values = [np.inf, -np.inf, np.nan, 3e38, -3e38, 0.0]
    array = np.array(values, "float32").reshape(1, 6)
    expected = np.array([[127, -128, 9, 127, -128, 9]], "int8")
    check_kernel("quantize", [array], expected, scale=1e-3, zero_point=9, rounding=rounding)


@given(shapes, scales, zero_points, gaps, gaps, seeds)
@cases(20)
def test_dequantize_equals_litert(shape, scale, zero_point, gap, out_gap, seed):
    array = random_array(np.random.default_rng(seed), shape, "int8")
    expected = litert("DEQUANTIZE", array, scale, zero_point)
    check_kernel("dequantize", [array], expected, gaps=[gap], out_gap=out_gap, in_place=(),
                 scale=scale, zero_point=zero_point)  # fmt: skip


def test_every_value_survives_the_way_there_and_back():
    values = np.arange(-128, 128, dtype="int8").reshape(1, 16, 4, 4)
    spec = TensorSpec(values.shape, "int8")
    real = RowKernel("dequantize", [spec], scale=0.037, zero_point=-3).run_rows(values)
    check_kernel("quantize", [real], values, scale=0.037, zero_point=-3, in_place=(0,))


def test_class():
    for name, dtype in (("quantize", "float32"), ("dequantize", "int8")):
        kernel = RowKernel(name, [TensorSpec((1, 2, 3, 4), dtype)], scale=1.0)
        assert kernel.operator.operator_class(kernel.signature) is OperatorClass.ELEMENTWISE


@pytest.mark.parametrize(
    ("name", "dtype", "attrs", "message"),
    [
        ("quantize", "int8", {"scale": 1.0}, "makes no int8 of int8"),
        ("dequantize", "float32", {"scale": 1.0}, "makes no float32 of float32"),
        ("quantize", "float32", {"scale": 0.0}, "scale must be positive"),
        ("dequantize", "int8", {"scale": 1.0, "zero_point": 128}, "is not int8"),
        ("quantize", "float32", {"scale": 1.0, "rounding": "down"}, "rounding must be one of"),
    ],
)
def test_refusals(name, dtype, attrs, message):
    operator = operator_of(f"dero.{name}")
    with pytest.raises(ValueError, match=message):
        operator.infer((TensorSpec((2, 3), dtype),), {**operator.defaults, **attrs})


@given(shapes, st.sampled_from(["uint8", "int8"]), gaps, gaps, seeds)
@cases(15)
def test_flipped_sign_bits_are_a_shift_by_128(shape, dtype, gap, out_gap, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape).astype("uint8").view(dtype)
    step, other = (-128, "int8") if dtype == "uint8" else (128, "uint8")
    expected = (array.astype("int32") + step).astype(other)
    in_place = (0,) if gap == out_gap else ()
    check_kernel("flip_sign_bit", [array], expected, gaps=[gap], out_gap=out_gap, in_place=in_place)
