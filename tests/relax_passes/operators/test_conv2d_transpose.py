"""Transposed convolution: rows against ONNX Runtime and LiteRT, networks in C too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import OperatorClass, TensorSpec, operator_of, quantized
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel, random_array, random_scales
from tests.end_to_end.oracles import litert, onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

seeds = st.integers(0, 2**32 - 1)
gaps = st.integers(0, 2)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
NAME = "conv2d_transpose"


@st.composite
def geometries(draw):
    """Shapes and attributes of a transposed convolution that leaves something of its result."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel, strides, dilation = draw(pairs), draw(pairs), draw(st.sampled_from([(1, 1), (2, 3)]))
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    extra = tuple(draw(st.integers(0, stride - 1)) for stride in strides)
    for axis in range(2):
        whole = (size[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        assume(whole + extra[axis] > padding[axis] + padding[axis + 2])
    depth = draw(st.integers(1, 3))
    return {
        "data": (draw(st.integers(1, 2)), *size, depth * groups),
        "weight": (groups * draw(st.integers(1, 3)), *kernel, depth),
        "strides": strides,
        "padding": padding,
        "output_padding": extra,
        "dilation": dilation,
        "groups": groups,
    }


def channels_first(weight: np.ndarray, groups: int) -> np.ndarray:
    """Weights [O, H, W, C / groups] as ONNX has them: [C, O / groups, H, W]."""
    filters, height, width, depth = weight.shape
    split = weight.reshape(groups, filters // groups, height, width, depth)
    return np.ascontiguousarray(
        split.transpose(0, 4, 1, 2, 3).reshape(groups * depth, filters // groups, height, width)
    )


def onnx_attributes(geometry: dict[str, Any]) -> dict[str, Any]:
    return {
        "strides": geometry["strides"],
        "pads": geometry["padding"],
        "output_padding": geometry["output_padding"],
        "dilations": geometry["dilation"],
        "group": geometry["groups"],
    }


def attributes(geometry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in geometry.items() if name not in ("data", "weight")}


@given(geometries(), gaps, gaps, st.sampled_from([(None, None), (-0.5, 1.0)]), seeds)
@cases(25)
def test_float_rows(geometry, gap, out_gap, bounds, seed) -> None:
    rng = np.random.default_rng(seed)
    data, weight = (random_array(rng, geometry[name], "float32") for name in ("data", "weight"))
    bias = random_array(rng, weight.shape[:1], "float32")
    model = QDQModel()
    first = data.transpose(0, 3, 1, 2)
    operands = [model.constant(channels_first(weight, geometry["groups"])), model.constant(bias)]
    y = model.node("ConvTranspose", model.input("x", first.shape), *operands,
                   **onnx_attributes(geometry))  # fmt: skip
    proto = model.build(y=(y, "float32"))
    expected = onnx_runtime(proto, [{"x": np.ascontiguousarray(first)}])[0]["y"]
    expected = np.clip(expected.transpose(0, 2, 3, 1), *bounds) if bounds[1] else (
        expected.transpose(0, 2, 3, 1)
    )  # fmt: skip
    check_kernel(NAME, [data, weight, bias], expected, gaps=[gap], out_gap=out_gap, rtol=1e-5,
                 in_place=(), minimum=bounds[0], maximum=bounds[1],
                 **attributes(geometry))  # fmt: skip


@given(
    st.tuples(*[st.integers(1, 6)] * 2, st.integers(1, 5)),
    pairs,
    pairs,
    st.sampled_from(["SAME", "VALID"]),
    st.tuples(*[st.integers(0, 3)] * 2),
    st.integers(1, 4),
    st.booleans(),
    gaps,
    seeds,
)
@cases(25)
def test_int8_is_litert(
    image, kernel, strides, padding, shorter, filters, several, gap, seed
) -> None:
    """The shape of a result says its padding."""
    rng = np.random.default_rng(seed)
    height, width, channels = image
    # The data must have the shape that a convolution of the result has.
    longest = [
        n * s if padding == "SAME" else n * s + k - 1
        for n, s, k in zip((height, width), strides, kernel)
    ]
    size = [n - min(less, s - 1) for n, less, s in zip(longest, shorter, strides)]
    input_scale, weight_scales, output_scale = random_scales(rng, filters if several else 1)
    weight_scales = [float(scale) for scale in weight_scales]
    zeros = [int(zero) for zero in rng.integers(-128, 128, 2)]
    data = random_array(rng, (1, height, width, channels), "int8")
    weight = rng.integers(-127, 128, (filters, *kernel, channels)).astype("int8")
    bias = rng.integers(-5000, 5001, filters).astype("int32")
    b = TFLiteBuilder()
    own = {"scale": input_scale, "zero_point": zeros[0]}
    operands = [
        b.constant("size", np.array([1, *size, filters], "int32")),
        b.constant("weight", weight, scale=weight_scales, axis=0),
        b.input("x", data.shape, "int8", **own),
        b.constant("bias", bias, scale=[scale * input_scale for scale in weight_scales]),
    ]
    y = b.tensor("y", None, "int8", scale=output_scale, zero_point=zeros[1])
    options = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    b.operator("TRANSPOSE_CONV", operands, [y], version=3, **options)
    model = b.build([y])
    (expected,) = run_litert_reference(model, {"x": data})
    before, after = [0, 0], [0, 0]
    for axis in range(2):
        if padding == "SAME":
            steps = (-(-size[axis] // strides[axis]) - 1) * strides[axis]
            before[axis] = max(steps + kernel[axis] - size[axis], 0) // 2
        whole = (image[axis] - 1) * strides[axis] + kernel[axis]
        after[axis] = whole - before[axis] - size[axis]
    multiplier, shift = quantized.convolution_factors(
        input_scale, weight_scales if several else weight_scales[0], output_scale, filters
    )
    check_kernel(
        NAME, [data, weight, bias, multiplier, shift], expected, gaps=[gap], strides=strides,
        padding=(*before, *(max(n, 0) for n in after)), in_place=(),
        output_padding=tuple(max(-n, 0) for n in after),
        input_zero_point=zeros[0], output_zero_point=zeros[1],
    )  # fmt: skip


def test_rows_and_classes() -> None:
    """A stride of two: rows that one or two kernel rows meet; what is a depthwise convolution."""
    data, weight = np.ones((1, 4, 3, 2), "float32"), np.ones((2, 3, 3, 1), "float32")
    kernel = check_kernel(
        NAME, [data, weight, np.zeros(2, "float32")],
        np.repeat([1.0, 2, 1, 2, 1, 2, 1], 5 * 2).reshape(1, 7, 5, 2).astype("float32")
        * np.tile(np.repeat([1.0, 2, 1, 2, 1], 2), 7).reshape(1, 7, 5, 2).astype("float32"),
        strides=(2, 2), padding=(1, 1, 1, 1), groups=2,
    )  # fmt: skip
    needed = [kernel.operator.needed_rows(kernel.signature, 0, row) for row in range(7)]
    assert needed == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.DEPTHWISE
    assert kernel.operator.macs(kernel.signature) == 4 * 3 * 2 * 9


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"groups": 2}, "4 channels in 2 groups do not fit"),
        ({"output_padding": (1,)}, "output_padding takes 2 numbers"),
        ({"padding": (2, 0, 2, 0)}, "nothing is left of 3 \\+ 0 without 2 and 2"),
        ({"strides": (0, 1)}, "conv2d_transpose: strides takes 2 numbers of at least 1"),
    ],
)
def test_refusals(attrs, message) -> None:
    operator = operator_of(f"dero.{NAME}")
    specs = [TensorSpec(s, "float32") for s in ((1, 2, 2, 4), (3, 2, 2, 4), (3,))]
    with pytest.raises(ValueError, match=message):
        operator.infer(tuple(specs), {**operator.defaults, **attrs})


GROUPED = {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 0], "group": 2}
DEPTHWISE = {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": 4}
PLAIN = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
DILATED = {"strides": [2, 1], "dilations": [2, 2], "output_padding": [1, 0]}


def onnx_float(**attrs: Any) -> Network:
    """With a norm behind it, as decoders have."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 2, 8, 7)).astype("float32")
    model = QDQModel()

    def constant(*shape: int) -> str:
        return model.constant((rng.standard_normal(shape) / 3).astype("float32"))

    data = model.node("Conv", model.input("x", x.shape), constant(4, 2, 3, 3), pads=[1] * 4)
    groups = attrs.get("group", 1)
    filters = 4 if groups == 4 else 6
    weight = constant(4, filters // groups, 3, 4)
    data = model.node("ConvTranspose", model.node("Relu", data), weight, **attrs)
    norm = [constant(filters) for _ in range(3)]
    spread = model.constant(rng.uniform(0.5, 2, filters).astype("float32"))
    data = model.node("Relu", model.node("BatchNormalization", data, *norm, spread))
    data = model.node("Conv", data, constant(1, filters, 3, 3))
    proto = model.build(y=(data, "float32"))
    return Network(load(proto), lambda x: onnx_runtime(proto, [{"x": x}])[0]["y"], 1e-5, x)


def onnx_integers(dtype: str, **attrs: Any) -> Network:
    """Weights with a scale for each channel of a group, as quantizers write them."""
    rng = np.random.default_rng(1)
    middle = 0 if dtype == "int8" else 128
    kind = np.dtype(dtype).type
    x = (rng.standard_normal((1, 4, 8, 7)) * 3).astype("float32")
    model = QDQModel()
    data = model.rounded(model.input("x", x.shape), 0.0531, kind(middle - 7))
    groups = attrs.get("group", 1)
    each = 6 // groups if groups < 4 else 1
    weight = model.constant(rng.integers(-127, 128, (4, each, 3, 4)).astype("int8"))
    scales = rng.uniform(0.003, 0.01, each).astype("float32")
    weight = model.dequantize(weight, scales, np.zeros(each, "int8"), axis=1)
    bias = model.constant(rng.integers(-900, 900, each * groups).astype("int32"))
    units = np.tile(scales * np.float32(0.0531), groups)
    bias = model.dequantize(bias, units, np.zeros(each * groups, "int32"), axis=0)
    data = model.node("ConvTranspose", data, weight, bias, **attrs)
    data = model.rounded(model.node("Relu", data), 0.0437, kind(middle - 128))
    proto = model.build(y=(data, "float32"))
    return Network(load(proto), lambda x: onnx_runtime(proto, [{"x": x}])[0]["y"], 0.0, x)


def tflite(dtype: str, size: tuple[int, int], padding: str = "SAME") -> Network:
    """Between convolutions; `size` is that of the result."""
    rng = np.random.default_rng(2)
    own: dict[str, Any] = {"scale": 0.05, "zero_point": 3 if dtype == "int8" else 131}
    own = {} if dtype == "float32" else own
    b = TFLiteBuilder()

    def weights(*shape: int, axis: int = 0) -> list[int]:
        if dtype == "float32":
            values = rng.standard_normal(shape).astype("float32") / 4
            return [b.constant("", values), b.constant("", values.reshape(shape[0], -1)[:, 0])]
        count = shape[0] if dtype == "int8" else 1
        zero = 0 if dtype == "int8" else 127
        values = rng.integers(zero - 127, zero + 128, shape).astype(dtype)
        scales = rng.uniform(0.003, 0.01, count).astype("float32")
        units = [float(scale) * 0.05 for scale in scales]
        bias = b.constant("", rng.integers(-99, 99, shape[0]), "int32", scale=units)
        several = {"scale": [float(s) for s in scales], "zero_point": [zero] * count}
        return [b.constant("", values, dtype, axis=axis, **several), bias]

    def filtered(data: int, filters: int, channels: int) -> int:
        out = b.tensor("", None, dtype, **own)
        b.operator("CONV_2D", [data, *weights(filters, 3, 3, channels)], [out], padding="SAME")
        return out

    data = b.input("x", (1, 9, 8, 4), dtype, **own)
    weight, bias = weights(5, 3, 4, 6)
    shape = b.constant("", np.array([1, *size, 5], "int32"))
    spread = b.tensor("spread", None, dtype, **own)
    b.operator("TRANSPOSE_CONV", [shape, weight, filtered(data, 6, 4), bias], [spread], version=3,
               padding=padding, stride_h=2, stride_w=2)  # fmt: skip
    model = b.build([filtered(spread, 1, 5)])
    x = rng.standard_normal((1, 9, 8, 4)).astype("float32")
    if dtype != "float32":
        x = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, x.shape).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 0.0
    return Network(load(model), lambda x: litert(model, [x])[0], tolerance, x)


def pytorch(rank: int) -> Network:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    if rank == 2:
        layers = [torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.ConvTranspose2d(4, 6, 4, 2, 1)]
        layers += [torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.Conv2d(6, 1, 3)]
        x = torch.randn(1, 2, 8, 7)
    else:
        layers = [torch.nn.Conv1d(2, 4, 3), torch.nn.ConvTranspose1d(4, 6, 4, 3, 1, 2, groups=2)]
        x = torch.randn(1, 2, 20)
    module = torch.nn.Sequential(*layers).eval()
    program = torch.export.export(module, (x,))
    expected = lambda x: module(torch.from_numpy(x)).detach().numpy()  # noqa: E731
    return Network(load(program), expected, 1e-5, x.numpy())


NETWORKS: dict[str, Callable[[], Network]] = {
    "onnx_plain": lambda: onnx_float(**PLAIN),
    "onnx_grouped": lambda: onnx_float(**GROUPED),
    "onnx_depthwise": lambda: onnx_float(**DEPTHWISE),
    "onnx_dilated": lambda: onnx_float(**DILATED),
    "onnx_plain_int8": lambda: onnx_integers("int8", **PLAIN),
    "onnx_grouped_uint8": lambda: onnx_integers("uint8", **GROUPED),
    "onnx_depthwise_int8": lambda: onnx_integers("int8", **DEPTHWISE),
    "onnx_dilated_int8": lambda: onnx_integers("int8", **DILATED),
    "tflite_float32": lambda: tflite("float32", (18, 16)),
    "tflite_int8": lambda: tflite("int8", (17, 16)),
    "tflite_int8_far": lambda: tflite("int8", (20, 18), "VALID"),
    "tflite_uint8": lambda: tflite("uint8", (18, 15)),
    "pytorch": lambda: pytorch(2),
    "pytorch_1d": lambda: pytorch(1),
}
ALONE = {name for name in NETWORKS if name.endswith(("1d", "_int8", "_uint8"))} - {
    "tflite_int8",
    "tflite_uint8",
}
"""Between an input and an output that lie whole, or of one row a pixel: nothing to stream."""


def test_networks_in_c(tmp_path) -> None:
    """Streamed and whole, the bits of the framework for integers; nothing is opaque."""
    networks = FrameworkNetworks()
    for name, build in NETWORKS.items():
        network = build()
        called, streamed = networks.add(name, network)
        assert called.count("dero.conv2d_transpose") == 1, (name, called)
        assert not any("relax.nn" in operator for operator in called), (name, called)
        assert "dero.conv2d_transpose" in streamed or name in ALONE, name
    networks.check_outputs(tmp_path)
