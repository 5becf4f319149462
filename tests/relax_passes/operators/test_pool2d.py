"""Pooling kernels against LiteRT's reference kernels, ONNX Runtime and NumPy."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from relax_passes.operators import OperatorClass, TensorSpec
from relax_passes.operators.quantized import pooling_factors
from tests.compiled.row_kernel_runner import RowKernel, assert_reads_only_needed_rows
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
seeds = st.integers(0, 2**32 - 1)
CASES = cases(12)


@st.composite
def geometries(draw):
    """Input shape and window attributes in which no window lies in the padding alone."""
    size, stride = draw(pairs), draw(strides)
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, size[i % 2] - 1)) for i in range(4))
    shape = (draw(st.integers(1, 2)), *draw(st.tuples(*[st.integers(4, 9)] * 2)), 3)
    attrs = {"pool_size": size, "strides": stride, "padding": padding, "dilation": dilation}
    for axis in (0, 1):
        span = (size[axis] - 1) * dilation[axis] + 1
        length = shape[1 + axis] + padding[axis] + padding[axis + 2]
        assume(length >= span)
        for start in range(0, length - span + 1, stride[axis]):
            taps = [start + k * dilation[axis] - padding[axis] for k in range(size[axis])]
            assume(any(0 <= tap < shape[1 + axis] for tap in taps))
    return shape, attrs


def same_padding(length, size, stride):
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def onnx_pool(data, kind, attrs, count_include_pad):
    """ONNX Runtime's answer, NHWC in and out."""
    options = {
        "kernel_shape": attrs["pool_size"],
        "strides": attrs["strides"],
        "pads": attrs["padding"],
        "dilations": attrs["dilation"],
    }
    if kind == "AveragePool":
        options["count_include_pad"] = int(count_include_pad)
    node = helper.make_node(kind, ["x"], ["y"], **options)
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * 4)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (result,) = session.run(None, {"x": data.transpose(0, 3, 1, 2).astype(np.float32)})
    return result.transpose(0, 2, 3, 1)


@CASES
@given(
    st.sampled_from(["max", "average"]),
    pairs,
    strides,
    st.tuples(st.integers(4, 9), st.integers(4, 9)),
    st.sampled_from(["SAME", "VALID"]),
    st.booleans(),
    seeds,
)
def test_int8_is_litert(kind, size, stride, extent, padding, relu6, seed):
    data = np.random.default_rng(seed).integers(-128, 128, (2, *extent, 3)).astype(np.int8)
    scale, zero_point = 0.05, -20
    builder = TFLiteBuilder()
    x = builder.input("data", data.shape, "int8", scale=scale, zero_point=zero_point)
    out = builder.tensor("out", None, "int8", scale=scale, zero_point=zero_point)
    builder.operator(
        {"max": "MAX_POOL_2D", "average": "AVERAGE_POOL_2D"}[kind],
        [x],
        [out],
        version=2,
        padding=padding,
        filter_height=size[0],
        filter_width=size[1],
        stride_h=stride[0],
        stride_w=stride[1],
        fused_activation_function="RELU6" if relu6 else "NONE",
    )
    (expected,) = run_litert_reference(builder.build([out]), {"data": data})
    pads = (0, 0, 0, 0)
    if padding == "SAME":
        (top, bottom), (left, right) = (
            same_padding(n, k, s) for n, k, s in zip(extent, size, stride)
        )
        pads = (top, left, bottom, right)
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(data.shape, "int8")],
        kind=kind,
        pool_size=size,
        strides=stride,
        padding=pads,
        minimum=-20 if relu6 else None,
        maximum=100 if relu6 else None,
    )
    np.testing.assert_array_equal(kernel.run_rows(data), expected)


@CASES
@given(
    geometries(), st.sampled_from(["MaxPool", "AveragePool"]), st.booleans(), st.booleans(), seeds
)
def test_float_is_onnxruntime(geometry, kind, include_pad, bounded, seed):
    shape, attrs = geometry
    data = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(shape, "float32")],
        kind={"MaxPool": "max", "AveragePool": "average"}[kind],
        count_include_pad=include_pad,
        minimum=-0.25 if bounded else None,
        maximum=0.5 if bounded else None,
        **attrs,
    )
    expected = onnx_pool(data, kind, attrs, include_pad)
    if bounded:
        expected = expected.clip(-0.25, 0.5)
    np.testing.assert_allclose(kernel.run_rows(data), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows_of_one_element(dtype, stride):
    data = np.random.default_rng(6).integers(-128, 128, (1, 4, 5, 3)).astype(dtype)
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(data.shape, dtype)],
        kind="max",
        pool_size=(1, 1),
        strides=(stride, stride),
        minimum=-50,
        maximum=70,
    )
    expected = data[:, ::stride, ::stride].clip(-50, 70)
    np.testing.assert_array_equal(kernel.run_rows(data), expected)


@CASES
@given(geometries(), st.booleans(), st.sampled_from(["double", "single"]), seeds)
def test_rescaled_int8_average(geometry, include_pad, rounding, seed):
    shape, attrs = geometry
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, shape).astype(np.int8)
    ratio = 10 ** (rng.uniform(-1, 3) if rng.random() < 2 / 3 else rng.uniform(-12, 12))
    zero_in, zero_out = (int(z) for z in rng.integers(-128, 128, 2))
    multiplier, shift = pooling_factors(ratio, 1.0)
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(shape, "int8")],
        kind="average",
        count_include_pad=include_pad,
        input_zero_point=zero_in,
        output_zero_point=zero_out,
        multiplier=multiplier,
        shift=shift,
        rounding=rounding,
        **attrs,
    )
    average = onnx_pool(data.astype(np.float32) - zero_in, "AveragePool", attrs, include_pad)
    expected = np.clip(average * np.float64(ratio) + zero_out, -128, 127)
    limit = 0.5 if rounding == "single" else 0.75
    assert np.abs(kernel.run_rows(data) - expected).max() <= limit + 1e-3


@CASES
@given(geometries(), st.booleans(), st.sampled_from([7, -4]), seeds)
def test_single_rounding_sends_ties_of_unscaled_averages_to_even(
    geometry, include_pad, zero_out, seed
):
    shape, attrs = geometry
    data = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    zero_points = {"input_zero_point": 7, "output_zero_point": zero_out}
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(shape, "int8")],
        kind="average",
        count_include_pad=include_pad,
        rounding="single",
        **zero_points,
        **attrs,
    )
    average = onnx_pool(data.astype(np.float32) - 7, "AveragePool", attrs, include_pad)
    # Sums of 128 and fewer integers, divided in float32, are exactly a half or not close to it.
    expected = np.clip(np.rint(average) + zero_out, -128, 127)
    np.testing.assert_array_equal(kernel.run_rows(data), expected)


@CASES
@given(geometries(), seeds)
def test_sums_are_averages_times_the_window(geometry, seed):
    shape, attrs = geometry
    rng = np.random.default_rng(seed)
    real = rng.normal(size=shape).astype(np.float32)
    size = attrs["pool_size"][0] * attrs["pool_size"][1]
    total = onnx_pool(real, "AveragePool", attrs, True) * size
    kernel = RowKernel("pool2d", [TensorSpec(shape, "float32")], kind="sum", **attrs)
    np.testing.assert_allclose(kernel.run_rows(real), total, rtol=1e-4, atol=1e-5)

    data = rng.integers(-128, 128, shape).astype(np.int8)
    total = np.rint(onnx_pool(data.astype(np.float32) - 7, "AveragePool", attrs, True) * size)
    zero_points = {"input_zero_point": 7, "output_zero_point": 7}
    kernel = RowKernel("pool2d", [TensorSpec(shape, "int8")], kind="sum", **zero_points, **attrs)
    np.testing.assert_array_equal(kernel.run_rows(data), np.clip(total + 7, -128, 127))


def test_average_in_the_same_scale_with_padding_counted():
    data = np.array([[10, 20], [30, 41]], np.int8).reshape(1, 2, 2, 1)
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(data.shape, "int8")],
        kind="average",
        pool_size=(2, 2),
        padding=(1, 1, 0, 0),
        count_include_pad=True,
        input_zero_point=4,
        output_zero_point=4,
    )
    # Padding stands for real zeros, which are 4s: (4 + 4 + 4 + 10) / 4 = 5.5 and so on.
    assert kernel.run_rows(data).ravel().tolist() == [6, 10, 12, 25]


@pytest.mark.parametrize("zero_point", [0, -128])
def test_ties_of_integer_averages_go_away_from_the_zero_point(zero_point):
    data = np.array([[-3, -4, 0, 1], [-7, -6, 0, 0]], np.int8).reshape(2, 1, 4, 1)
    zero_points = {"input_zero_point": zero_point, "output_zero_point": zero_point}
    kernel = RowKernel(
        "pool2d",
        [TensorSpec(data.shape, "int8")],
        kind="average",
        pool_size=(1, 2),
        strides=(1, 2),
        **zero_points,
    )
    # -3.5, 0.5, -6.5 and 0: LiteRT's int8; less 128, they are ties of its uint8.
    expected = {0: [-4, 1, -7, 0], -128: [-3, 1, -6, 0]}[zero_point]
    assert kernel.run_rows(data).ravel().tolist() == expected


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("kind", ["max", "average", "sum"])
def test_rows_and_strides(dtype, kind):
    data = np.random.default_rng(2).integers(-8, 9, (2, 7, 6, 3)).astype(dtype)
    attrs = {
        "kind": kind,
        "pool_size": (3, 2),
        "strides": (2, 1),
        "padding": (1, 1, 2, 0),
        "dilation": (1, 2),
    }
    expected = RowKernel("pool2d", [TensorSpec(data.shape, dtype)], **attrs).run_rows(data)
    strided = RowKernel("pool2d", [TensorSpec(data.shape, dtype, 5)], out_pixel_stride=8, **attrs)
    np.testing.assert_array_equal(strided.run_rows(data), expected)
    assert_reads_only_needed_rows(strided, [data])
    assert strided.operator.needed_rows(strided.signature, 0, 0) == (0, 2)
    assert strided.operator.operator_class(strided.signature) is OperatorClass.POOLING


@pytest.mark.parametrize(
    ("attrs", "reason"),
    [
        ({"kind": "median"}, "kind"),
        ({"padding": (2, 0, 0, 0)}, "outside"),
        ({"pool_size": (9, 1)}, "does not fit"),
        ({"multiplier": 1 << 30}, "go together"),
    ],
)
def test_errors(attrs, reason):
    attrs = {"kind": "average", "pool_size": (2, 2), **attrs}
    with pytest.raises(ValueError, match=reason):
        RowKernel("pool2d", [TensorSpec((1, 4, 4, 2), "int8")], **attrs)
