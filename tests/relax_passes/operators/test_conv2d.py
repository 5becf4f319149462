"""Convolution: float32 against ONNX Runtime, int8 bit by bit against LiteRT."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from relax_passes.operators import OperatorClass, TensorSpec, operator_of, quantized
from tests.compiled.operator_checks import check_kernel, random_array, random_scales
from tests.compiled.row_kernel_runner import RowKernel
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

seeds = st.integers(0, 2**32 - 1)
gaps = st.integers(0, 2)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def geometries(draw, *, asymmetric=True, group_counts=(1, 2, 3)):
    """Shapes and attributes of a convolution whose window fits the padded image."""
    groups = draw(st.sampled_from(group_counts))
    kernel, strides, dilation = draw(pairs), draw(pairs), draw(pairs)
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4)) if asymmetric else (0, 0, 0, 0)
    assume(height + padding[0] + padding[2] > (kernel[0] - 1) * dilation[0])
    assume(width + padding[1] + padding[3] > (kernel[1] - 1) * dilation[1])
    depth, filters = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    return {
        "data": (draw(st.integers(1, 2)), height, width, depth * groups),
        "weight": (filters, *kernel, depth),
        "strides": strides,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


def attributes(geometry):
    return {key: geometry[key] for key in ("strides", "padding", "dilation", "groups")}


def onnx_runtime(data, weight, bias, geometry):
    graph = helper.make_graph(
        [
            helper.make_node(
                "Conv",
                ["x", "w", "b"],
                ["y"],
                strides=geometry["strides"],
                pads=geometry["padding"],
                dilations=geometry["dilation"],
                group=geometry["groups"],
            )
        ],
        "conv",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "w", "b")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    nchw = np.ascontiguousarray(data.transpose(0, 3, 1, 2))
    oihw = np.ascontiguousarray(weight.transpose(0, 3, 1, 2))
    (result,) = session.run(None, {"x": nchw, "w": oihw, "b": bias})
    return np.ascontiguousarray(result.transpose(0, 2, 3, 1))


@given(geometries(), gaps, gaps, st.sampled_from([(None, None), (0.0, None), (-0.5, 1.0)]), seeds)
@cases(25)
def test_float_equals_onnx_runtime(geometry, gap, out_gap, bounds, seed):
    rng = np.random.default_rng(seed)
    data, weight = (random_array(rng, geometry[name], "float32") for name in ("data", "weight"))
    bias = random_array(rng, weight.shape[:1], "float32")
    expected = onnx_runtime(data, weight, bias, geometry)
    if bounds != (None, None):
        expected = np.clip(expected, *bounds)
    check_kernel("conv2d", [data, weight, bias], expected, gaps=[gap], out_gap=out_gap, rtol=1e-5,
                 in_place=(), minimum=bounds[0], maximum=bounds[1],
                 **attributes(geometry))  # fmt: skip


class Quantization:
    """Random scales and zero points of an int8 convolution, and what a frontend makes of them."""

    def __init__(self, rng, filters):
        self.input_scale, self.weight_scales, self.output_scale = random_scales(rng, filters)
        self.input_zero_point, self.output_zero_point = (int(n) for n in rng.integers(-128, 128, 2))
        self.multiplier, self.shift = quantized.convolution_factors(
            self.input_scale, [float(s) for s in self.weight_scales], self.output_scale, filters
        )

    def attributes(self, activation):
        bounds = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0)}[activation]
        low, high = quantized.activation_range(self.output_scale, self.output_zero_point, *bounds)
        return {
            "minimum": low,
            "maximum": high,
            "input_zero_point": self.input_zero_point,
            "output_zero_point": self.output_zero_point,
        }


def litert(code, data, weight, bias, scheme, activation, *, axis=0, pads=None, **options):
    """LiteRT's convolution (`weight` as LiteRT lays it out), after a PAD if `pads` are given."""
    builder = TFLiteBuilder()
    quantization = {"scale": scheme.input_scale, "zero_point": scheme.input_zero_point}
    source = builder.input("data", data.shape, "int8", **quantization)
    if pads is not None:
        top, left, bottom, right = pads
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], "int32")
        padded_shape = (
            data.shape[0],
            data.shape[1] + top + bottom,
            data.shape[2] + left + right,
            data.shape[3],
        )
        padded = builder.tensor("padded", padded_shape, "int8", **quantization)
        builder.operator("PAD", [source, builder.constant("pads", amounts)], [padded], version=2)
        source = padded
    scales = [float(s) for s in scheme.weight_scales]
    bias_scales = [s * scheme.input_scale for s in scales]
    weights = builder.constant("weight", weight, scale=scales, axis=axis)
    biases = builder.constant("bias", bias, scale=bias_scales)
    out = builder.tensor(
        "out", None, "int8", scale=scheme.output_scale, zero_point=scheme.output_zero_point
    )
    builder.operator(
        code, [source, weights, biases], [out], version=3,
        fused_activation_function=activation, **options,
    )  # fmt: skip
    (result,) = run_litert_reference(builder.build(outputs=[out]), {"data": data})
    return result


def operands(rng, data_shape, weight_shape, scheme):
    """Operands of the row kernel: data, weights, bias, multipliers, shifts."""
    data = random_array(rng, data_shape, "int8")
    weight = rng.integers(-127, 128, weight_shape).astype("int8")
    bias = rng.integers(-5000, 5001, weight_shape[0]).astype("int32")
    return [data, weight, bias, scheme.multiplier, scheme.shift]


activations = st.sampled_from(["NONE", "RELU", "RELU6"])


@given(geometries(), gaps, gaps, activations, seeds)
@cases(25)
def test_int8_equals_litert(geometry, gap, out_gap, activation, seed):
    """Any padding, dilation and grouping; LiteRT pads in an operator of its own."""
    rng = np.random.default_rng(seed)
    scheme = Quantization(rng, geometry["weight"][0])
    arrays = operands(rng, geometry["data"], geometry["weight"], scheme)
    data, weight, bias = arrays[:3]
    stride_h, stride_w = geometry["strides"]
    dilation_h, dilation_w = geometry["dilation"]
    expected = litert(
        "CONV_2D", data, weight, bias, scheme, activation, pads=geometry["padding"],
        stride_h=stride_h, stride_w=stride_w,
        dilation_h_factor=dilation_h, dilation_w_factor=dilation_w,
    )  # fmt: skip
    check_kernel("conv2d", arrays, expected, gaps=[gap], out_gap=out_gap,
                 **attributes(geometry), **scheme.attributes(activation))  # fmt: skip


def same_padding(length, kernel, stride, dilation):
    """TensorFlow's SAME: the surplus element goes to the end."""
    span = (kernel - 1) * dilation + 1
    total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


@given(geometries(asymmetric=False, group_counts=(1,)), st.integers(1, 3), activations, seeds)
@cases(25)
def test_int8_depthwise_equals_litert(geometry, depth_multiplier, activation, seed):
    """SAME padding, and several filters a channel; LiteRT lays weights out as 1HWO."""
    rng = np.random.default_rng(seed)
    channels = geometry["data"][3]
    filters = channels * depth_multiplier
    _, kernel_h, kernel_w, _ = geometry["weight"]
    (stride_h, stride_w), (dilation_h, dilation_w) = geometry["strides"], geometry["dilation"]
    top, bottom = same_padding(geometry["data"][1], kernel_h, stride_h, dilation_h)
    left, right = same_padding(geometry["data"][2], kernel_w, stride_w, dilation_w)
    scheme = Quantization(rng, filters)
    arrays = operands(rng, geometry["data"], (filters, kernel_h, kernel_w, 1), scheme)
    data, weight, bias = arrays[:3]
    expected = litert(
        "DEPTHWISE_CONV_2D", data, np.ascontiguousarray(weight.transpose(3, 1, 2, 0)), bias,
        scheme, activation, axis=3, padding="SAME", depth_multiplier=depth_multiplier,
        stride_h=stride_h, stride_w=stride_w,
        dilation_h_factor=dilation_h, dilation_w_factor=dilation_w,
    )  # fmt: skip
    kernel = check_kernel(
        "conv2d", arrays, expected, strides=geometry["strides"], dilation=geometry["dilation"],
        padding=(top, left, bottom, right), groups=channels, **scheme.attributes(activation),
    )  # fmt: skip
    if channels > 1:
        assert kernel.operator.operator_class(kernel.signature) is OperatorClass.DEPTHWISE


def test_single_rounding_is_the_nearest_integer():
    rng = np.random.default_rng(11)
    scheme = Quantization(rng, 6)
    arrays = operands(rng, (1, 6, 6, 4), (6, 3, 3, 4), scheme)
    data, weight, bias = arrays[:3]
    real = onnx_runtime(
        (data.astype("float32") - scheme.input_zero_point), weight.astype("float32"),
        bias.astype("float32"),
        {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1},
    ).astype("float64")  # fmt: skip
    real *= scheme.input_scale * scheme.weight_scales.astype("float64") / scheme.output_scale
    exact = np.clip(real + scheme.output_zero_point, -128, 127)
    specs = [TensorSpec(array.shape, str(array.dtype)) for array in arrays]
    kernel = RowKernel("conv2d", specs, rounding="single", **scheme.attributes("NONE"))
    assert np.abs(kernel.run_rows(*arrays) - exact).max() <= 0.5 + 1e-4
    assert 0 < np.mean((exact > -128) & (exact < 127))


@pytest.mark.parametrize(
    ("weight", "groups", "expected"),
    [
        ((8, 1, 1, 4), 1, OperatorClass.POINTWISE),
        ((8, 3, 3, 4), 1, OperatorClass.SPATIAL),
        ((4, 3, 3, 1), 4, OperatorClass.DEPTHWISE),
        ((8, 3, 3, 2), 2, OperatorClass.SPATIAL),
    ],
)
def test_class_and_cost(weight, groups, expected):
    specs = [
        TensorSpec((1, 6, 6, 4), "float32"),
        TensorSpec(weight, "float32"),
        TensorSpec(weight[:1], "float32"),
    ]
    kernel = RowKernel("conv2d", specs, groups=groups)
    signature = kernel.signature
    assert kernel.operator.operator_class(signature) is expected
    out = signature.output
    assert kernel.operator.macs(signature) == out.elements * np.prod(weight[1:])


def test_rows_under_the_window():
    specs = [
        TensorSpec((2, 5, 4, 1), "float32"),
        TensorSpec((1, 3, 1, 1), "float32"),
        TensorSpec((1,), "float32"),
    ]
    kernel = RowKernel("conv2d", specs, padding=(2, 0, 1, 0), strides=(2, 1))
    needed = [kernel.operator.needed_rows(kernel.signature, 0, row) for row in range(6)]
    assert kernel.signature.output.shape == (2, 3, 4, 1)
    assert needed == [(0, 1), (0, 3), (2, 5), (5, 6), (5, 8), (7, 10)]


def test_windows_in_the_padding_alone_need_no_row():
    specs = [
        TensorSpec((1, 2, 2, 1), "float32"),
        TensorSpec((1, 1, 1, 1), "float32"),
        TensorSpec((1,), "float32"),
    ]
    kernel = RowKernel("conv2d", specs, padding=(1, 0, 1, 0))
    needed = [kernel.operator.needed_rows(kernel.signature, 0, row) for row in range(4)]
    assert needed == [(0, 0), (0, 1), (1, 2), (2, 2)]


FLOATS = [("data", (1, 6, 6, 4)), ("weight", (8, 3, 3, 4)), ("bias", (8,))]
INTEGERS = [*FLOATS, ("multiplier", (8,)), ("shift", (8,))]
INT8 = ("int8", "int8", "int32", "int32", "int32")


@pytest.mark.parametrize(
    ("shapes", "dtypes", "attrs", "message"),
    [
        ({"data": (6, 6, 4)}, ("float32",) * 3, {}, "NHWC"),
        ({}, ("float32",) * 3, {"groups": 2}, "do not fit weights"),
        ({"weight": (8, 7, 7, 4)}, ("float32",) * 3, {}, "does not fit"),
        ({"bias": (4,)}, ("float32",) * 3, {}, "bias"),
        ({}, ("float32", "float32"), {}, "bias"),
        ({}, ("float32", "int8", "float32"), {}, "float32"),
        ({}, ("int8", "int8", "int32"), {}, "multiplier"),
        ({"shift": (1,)}, INT8, {}, "shift"),
        ({}, INT8, {"rounding": "up"}, "rounding must be one of"),
        ({}, ("uint8", "int8", "int32", "int32", "int32"), {}, "float32, int8 or int16"),
        ({}, ("int16", "int8", "int16", "int32", "int32"), {}, "bias int32"),
        ({}, ("float32",) * 3, {"padding": (0, -1, 0, 0)}, "padding"),
        ({}, ("float32",) * 3, {"strides": (0, 1)}, "strides"),
    ],
)
def test_refusals(shapes, dtypes, attrs, message):
    specs = tuple(
        TensorSpec(shapes.get(name, shape), dtype) for (name, shape), dtype in zip(INTEGERS, dtypes)
    )
    operator = operator_of("dero.conv2d")
    with pytest.raises(ValueError, match=message):
        operator.infer(specs, {**operator.defaults, **attrs})
