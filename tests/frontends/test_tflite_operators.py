"""Every int8 TFLite operator that CNNs use: imported, compiled for the host, against LiteRT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from host_module import run_on_host
from tflite_builder import TFLiteBuilder, run_litert_reference

from dero_tvm.frontends.tflite import load_tflite

Case = Callable[[TFLiteBuilder, np.random.Generator], list[int]]
CASES: dict[str, tuple[Case, int]] = {}

SHAPE = (1, 6, 8, 4)
IN = {"scale": 0.05, "zero_point": -3}
OUT = {"scale": 0.04, "zero_point": 5}


def case(name: str, tolerance: int = 1) -> Callable[[Case], Case]:
    """Register a model; `tolerance` is in steps of the output's integer."""

    def register(build: Case) -> Case:
        CASES[name] = (build, tolerance)
        return build

    return register


def move(code: str, *, operands: tuple = (), **options) -> Case:
    """An operator that moves values; its operands are int32 constants."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", SHAPE, "int8", **IN)
        constants = [b.constant(f"c{i}", v, "int32") for i, v in enumerate(operands)]
        y = b.tensor("y", None, "int8", **IN)
        b.operator(code, [x, *constants], [y], **options)
        return [y]

    return build


def unary(code: str, out: dict | None = None, x: dict | None = None, **options) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        data = b.input("x", SHAPE, "int8", **(x or IN))
        y = b.tensor("y", None, "int8", **(out or OUT))
        b.operator(code, [data], [y], **options)
        return [y]

    return build


def binary(code: str, constant: bool = False, **options) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", SHAPE, "int8", **IN)
        other = {"scale": 0.02, "zero_point": 7}
        if constant:
            z = b.constant("z", rng.integers(-128, 128, (4,), "int8"), **other)
        else:
            z = b.input("z", (1, 1, 1, 4), "int8", **other)
        y = b.tensor("y", None, "int8", **OUT)
        b.operator(code, [x, z], [y], **options)
        return [y]

    return build


for activation in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
    CASES[f"add_{activation}"] = (binary("ADD", fused_activation_function=activation), 1)
CASES["add_constant"] = (binary("ADD", constant=True), 1)
CASES["sub"] = (binary("SUB"), 1)
CASES["mul"] = (binary("MUL"), 1)
CASES["mul_constant"] = (binary("MUL", constant=True), 1)

CASES["logistic"] = (unary("LOGISTIC", {"scale": 1 / 256, "zero_point": -128}), 1)
CASES["tanh"] = (unary("TANH", {"scale": 1 / 128, "zero_point": 0}), 1)
CASES["hard_swish"] = (unary("HARD_SWISH"), 1)
CASES["leaky_relu"] = (unary("LEAKY_RELU", alpha=0.1), 1)
CASES["relu"] = (unary("RELU"), 1)
CASES["relu6"] = (unary("RELU6"), 1)
CASES["relu_n1_to_1"] = (unary("RELU_N1_TO_1"), 1)
CASES["gelu"] = (unary("GELU"), 1)
CASES["gelu_tanh"] = (unary("GELU", approximate=True), 1)
CASES["exp"] = (unary("EXP", {"scale": 0.1, "zero_point": -128}), 1)
CASES["abs"] = (unary("ABS"), 1)
CASES["softmax"] = (unary("SOFTMAX", {"scale": 1 / 256, "zero_point": -128}), 1)
CASES["softmax_beta"] = (unary("SOFTMAX", {"scale": 1 / 256, "zero_point": -128}, beta=3.0), 1)
CASES["l2_normalization"] = (unary("L2_NORMALIZATION", {"scale": 1 / 128, "zero_point": 0}), 2)
CASES["quantize_int8"] = (unary("QUANTIZE"), 1)

pool = {"filter_width": 3, "filter_height": 2, "stride_w": 2, "stride_h": 2}
for padding in ("SAME", "VALID"):
    for code in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        CASES[f"{code.lower()}_{padding}"] = (
            unary(code, IN, padding=padding, fused_activation_function="RELU", **pool),
            1 if code.startswith("AVERAGE") else 0,
        )

moves = {
    "pad": move("PAD", operands=([[0, 0], [1, 2], [0, 1], [3, 0]],)),
    "mirror_pad": move("MIRROR_PAD", operands=([[0, 0], [1, 2], [0, 1], [0, 0]],), mode="REFLECT"),
    "transpose": move("TRANSPOSE", operands=([0, 3, 1, 2],)),
    "squeeze_all": move("SQUEEZE"),
    "squeeze_axis": move("SQUEEZE", squeeze_dims=[0]),
    "expand_dims": move("EXPAND_DIMS", operands=([-2],)),
    "reshape": move("RESHAPE", operands=([-1, 16],)),
    "slice": move("SLICE", operands=([0, 1, 2, 0], [1, 3, -1, 2])),
    "strided_slice": move("STRIDED_SLICE", operands=([0, 1, -1, 0], [1, 6, 0, 4], [1, 2, -2, 1])),
    "strided_slice_reversed": move(
        "STRIDED_SLICE", operands=([0, 5, 0, 0], [1, 0, 8, 4], [1, -2, 1, 1]), end_mask=0b0010
    ),
    "strided_slice_masks": move(
        "STRIDED_SLICE",
        operands=([0, 1, 2, 3], [0, 5, 0, 0], [1, 1, 1, 1]),
        begin_mask=0b0001,
        end_mask=0b0101,
        shrink_axis_mask=0b1000,
    ),
    "strided_slice_ellipsis": move(
        "STRIDED_SLICE", operands=([0, -1], [0, 4], [1, 1]), ellipsis_mask=1, shrink_axis_mask=2
    ),
    "gather": move("GATHER", operands=([3, 0, 0],), axis=3),
    "resize_nearest": move("RESIZE_NEAREST_NEIGHBOR", operands=([12, 16],)),
    "resize_nearest_down": move("RESIZE_NEAREST_NEIGHBOR", operands=([4, 5],)),
    "resize_nearest_half_pixel": move(
        "RESIZE_NEAREST_NEIGHBOR", operands=([9, 13],), half_pixel_centers=True
    ),
    "resize_nearest_align_corners": move(
        "RESIZE_NEAREST_NEIGHBOR", operands=([11, 15],), align_corners=True
    ),
    "space_to_depth": move("SPACE_TO_DEPTH", block_size=2),
    "depth_to_space": move("DEPTH_TO_SPACE", block_size=2),
    "tile": move("TILE", operands=([1, 2, 1, 3],)),
    "broadcast_to": move("BROADCAST_TO", operands=([2, 6, 8, 4],), version=2),
    "reverse": move("REVERSE_V2", operands=([2],)),
    "space_to_batch": move("SPACE_TO_BATCH_ND", operands=([3, 2], [[1, 2], [2, 0]])),
}
CASES.update({name: (build, 0) for name, build in moves.items()})
CASES["resize_bilinear"] = (move("RESIZE_BILINEAR", operands=([9, 13],)), 1)
CASES["resize_bilinear_half_pixel"] = (
    move("RESIZE_BILINEAR", operands=([12, 16],), half_pixel_centers=True),
    1,
)
for keep in (False, True):
    CASES[f"mean_{keep}"] = (move("MEAN", operands=([1, 2],), keep_dims=keep), 1)
CASES["reduce_max"] = (move("REDUCE_MAX", operands=([-1],), keep_dims=False), 0)


@case("maximum", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    z = b.input("z", (1, 1, 1, 4), "int8", **IN)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("MAXIMUM", [x, z], [y])
    return [y]


def convolution(
    stride: int, padding: str, dilation: int, activation: str, per_channel: bool = True
) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        scales = rng.uniform(0.002, 0.01, 5) if per_channel else np.array([0.006])
        x = b.input("x", SHAPE, "int8", **IN)
        w = b.constant("w", rng.integers(-127, 128, (5, 3, 2, 4), "int8"), scale=scales)
        bias = b.constant("b", rng.integers(-2000, 2000, 5, "int32"), scale=scales * IN["scale"])
        y = b.tensor("y", None, "int8", **OUT)
        b.operator(
            "CONV_2D",
            [x, w, bias],
            [y],
            padding=padding,
            stride_w=stride,
            stride_h=stride,
            dilation_w_factor=dilation,
            dilation_h_factor=dilation,
            fused_activation_function=activation,
        )
        return [y]

    return build


CASES["conv_same"] = (convolution(1, "SAME", 1, "RELU6"), 1)
CASES["conv_stride"] = (convolution(2, "SAME", 1, "RELU"), 1)
CASES["conv_dilated"] = (convolution(1, "VALID", 2, "NONE"), 1)
CASES["conv_per_tensor"] = (convolution(1, "SAME", 1, "NONE", per_channel=False), 1)


def depthwise(channels: int, multiplier: int, stride: int) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        n = channels * multiplier
        scales = rng.uniform(0.002, 0.01, n)
        x = b.input("x", (1, 6, 8, channels), "int8", **IN)
        w = b.constant("w", rng.integers(-127, 128, (1, 3, 3, n), "int8"), scale=scales, axis=3)
        bias = b.constant("b", rng.integers(-999, 999, n, "int32"), scale=scales * IN["scale"])
        y = b.tensor("y", None, "int8", **OUT)
        b.operator(
            "DEPTHWISE_CONV_2D",
            [x, w, bias],
            [y],
            padding="SAME",
            stride_w=stride,
            stride_h=stride,
            depth_multiplier=multiplier,
            fused_activation_function="RELU",
        )
        return [y]

    return build


CASES["depthwise"] = (depthwise(4, 1, 1), 1)
CASES["depthwise_stride"] = (depthwise(4, 1, 2), 1)
CASES["depthwise_multiplier"] = (depthwise(3, 2, 1), 1)
CASES["depthwise_one_channel_in"] = (depthwise(1, 4, 1), 1)
CASES["depthwise_one_channel"] = (depthwise(1, 1, 1), 1)


def dense(shape: tuple[int, ...], depth: int, keep: bool, bias: bool) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", shape, "int8", **IN)
        w = b.constant("w", rng.integers(-127, 128, (6, depth), "int8"), scale=0.004)
        operands: list[int | None] = [x, w]
        values = rng.integers(-999, 999, 6, "int32")
        operands.append(b.constant("b", values, scale=0.004 * IN["scale"]) if bias else None)
        y = b.tensor("y", None, "int8", **OUT)
        b.operator(
            "FULLY_CONNECTED",
            operands,
            [y],
            keep_num_dims=keep,
            fused_activation_function="RELU",
        )
        return [y]

    return build


CASES["dense"] = (dense((2, 12), 12, False, True), 1)
CASES["dense_no_bias"] = (dense((2, 12), 12, False, False), 1)
CASES["dense_flattens"] = (dense((1, 2, 3, 4), 24, False, True), 1)
CASES["dense_pointwise"] = (dense((1, 2, 3, 4), 4, False, True), 1)
CASES["dense_keep_num_dims"] = (dense((1, 5, 4), 4, True, True), 1)


@case("batch_to_space", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (12, 3, 4, 2), "int8", **IN)
    blocks = b.constant("blocks", [3, 2], "int32")
    crops = b.constant("crops", [[1, 2], [0, 3]], "int32")
    y = b.tensor("y", None, "int8", **IN)
    b.operator("BATCH_TO_SPACE_ND", [x, blocks, crops], [y])
    return [y]


@case("concatenation", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **OUT)
    z = b.input("z", (1, 6, 8, 2), "int8", **OUT)
    c = b.constant("c", rng.integers(-128, 128, (1, 6, 8, 1), "int8"), **OUT)
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("CONCATENATION", [x, z, c], [y], axis=-1)
    return [y]


@case("padv2", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    amounts = b.constant("p", [[0, 0], [1, 2], [0, 1], [0, 0]], "int32")
    value = b.constant("v", [-100], "int8", **IN)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("PADV2", [x, amounts, value], [y])
    return [y]


@case("prelu")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    alpha = b.constant("a", rng.integers(-128, 128, (1, 1, 4), "int8"), scale=0.003, zero_point=-20)
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("PRELU", [x, alpha], [y])
    return [y]


@case("split", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    axis = b.constant("axis", 3, "int32")
    x = b.input("x", SHAPE, "int8", **IN)
    parts = [b.tensor(f"y{i}", None, "int8", **IN) for i in range(2)]
    b.operator("SPLIT", [axis, x], parts, num_splits=2)
    return parts


@case("split_one")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    axis = b.constant("axis", 3, "int32")
    x = b.input("x", SHAPE, "int8", **IN)
    part = b.tensor("part", None, "int8", **IN)
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("SPLIT", [axis, x], [part], num_splits=1)
    b.operator("QUANTIZE", [part], [y])
    return [y]


@case("split_v", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    sizes = b.constant("sizes", [1, 5], "int32")
    axis = b.constant("axis", 1, "int32")
    parts = [b.tensor(f"y{i}", None, "int8", **IN) for i in range(2)]
    b.operator("SPLIT_V", [x, sizes, axis], parts, num_splits=2)
    return parts


@case("pack", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (3, 4), "int8", **IN)
    z = b.input("z", (3, 4), "int8", **IN)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("PACK", [x, z], [y], values_count=2, axis=1)
    return [y]


@case("unpack", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (2, 3, 4), "int8", **IN)
    parts = [b.tensor(f"y{i}", None, "int8", **IN) for i in range(3)]
    b.operator("UNPACK", [x], parts, num=3, axis=1)
    return parts


@case("quantize_float")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "float32")
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("QUANTIZE", [x], [y])
    return [y]


@case("quantize_uint8_to_int8")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "uint8", scale=0.05, zero_point=125)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("QUANTIZE", [x], [y])
    return [y]


@case("dequantize")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    y = b.tensor("y", None, "float32")
    b.operator("DEQUANTIZE", [x], [y])
    return [y]


def transposed_convolution(kernel: int, size: int, padding: str) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        scales = rng.uniform(0.002, 0.01, 3)
        shape = b.constant("shape", [1, size, size, 3], "int32")
        weights = rng.integers(-127, 128, (3, kernel, kernel, 4), "int8")
        w = b.constant("w", weights, scale=scales)
        x = b.input("x", (1, 5, 5, 4), "int8", **IN)
        y = b.tensor("y", None, "int8", **OUT)
        b.operator("TRANSPOSE_CONV", [shape, w, x], [y], padding=padding, stride_w=2, stride_h=2)
        return [y]

    return build


CASES["transpose_conv_2"] = (transposed_convolution(2, 10, "SAME"), 1)
CASES["transpose_conv_3"] = (transposed_convolution(3, 10, "SAME"), 1)
CASES["transpose_conv_4"] = (transposed_convolution(4, 9, "SAME"), 1)
CASES["transpose_conv_valid"] = (transposed_convolution(3, 11, "VALID"), 1)


@case("arg_max", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (3, 4), "int8", **IN)
    axis = b.constant("axis", 1, "int32")
    y = b.tensor("y", None, "int32")
    b.operator("ARG_MAX", [x, axis], [y], output_type=2)
    return [y]


@case("flatten_of_open_batch", 0)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE, as Keras models with an open batch have it."""
    x = b.input("x", SHAPE, "int8", shape_signature=(-1, *SHAPE[1:]), **IN)
    shape = b.tensor("shape", None, "int32")
    b.operator("SHAPE", [x], [shape], out_type=2)
    bounds = [b.constant(n, [v], "int32") for n, v in (("b", 0), ("e", 1), ("s", 1))]
    batch = b.tensor("batch", None, "int32")
    b.operator("STRIDED_SLICE", [shape, *bounds], [batch], shrink_axis_mask=1)
    rest = b.constant("rest", 192, "int32")
    packed = b.tensor("packed", None, "int32")
    b.operator("PACK", [batch, rest], [packed], values_count=2)
    y = b.tensor("y", (1, 192), "int8", **IN)
    b.operator("RESHAPE", [x, packed], [y])
    return [y]


@case("one_name_for_all", 1)
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """Names carry no meaning in TFLite: stripped files repeat them."""
    x = b.input("x", SHAPE, "int8", **IN)
    first = b.tensor("", None, "int8", **OUT)
    second = b.tensor("", None, "int8", **IN)
    y = b.tensor("x", None, "int8", **OUT)
    b.operator("LEAKY_RELU", [x], [first], alpha=0.5)
    b.operator("ADD", [first, x], [second])
    b.operator("ADD", [second, first], [y])
    return [y]


@pytest.mark.parametrize("name", CASES)
def test_int8_operator_agrees_with_litert(name: str) -> None:
    build, tolerance = CASES[name]
    rng = np.random.default_rng(sum(name.encode()))
    builder = TFLiteBuilder()
    model = builder.build(build(builder, rng))
    loaded = load_tflite(model, label=f"{name}.tflite", name=name)
    assert loaded.module["main"].attrs["dero.rounding"] == "double"

    inputs = {}
    for spec in loaded.inputs:
        if spec.dtype == "float32":
            inputs[spec.name] = rng.uniform(-6, 6, spec.shape).astype("float32")
        else:
            info = np.iinfo(spec.dtype)
            inputs[spec.name] = rng.integers(info.min, info.max + 1, spec.shape, spec.dtype)
    expected = run_litert_reference(model, inputs)
    computed = run_on_host(loaded.module, [inputs[spec.name] for spec in loaded.inputs])

    assert len(expected) == len(computed) == len(loaded.outputs)
    for want, have, spec in zip(expected, computed, loaded.outputs, strict=True):
        assert have.dtype == want.dtype == spec.dtype
        assert have.shape == want.shape == spec.shape
        assert len(np.unique(want)) > 1, "the case must exercise more than one value"
        difference = np.abs(want.astype("float64") - have.astype("float64"))
        if want.dtype == np.float32:
            assert difference.max() < 1e-6
        else:
            assert difference.max() <= tolerance


@pytest.mark.parametrize("name", ["SUM", "ELU"])
def test_int8_operator_that_litert_reference_lacks(name: str) -> None:
    """LiteRT's reference resolver has no ELU, and its int8 SUM wraps around: NumPy judges."""
    rng = np.random.default_rng(1)
    b = TFLiteBuilder()
    x = b.input("x", SHAPE, "int8", **IN)
    if name == "SUM":
        y = b.tensor("y", (1, 6, 8, 1), "int8", scale=0.2, zero_point=9)
        b.operator("SUM", [x, b.constant("axis", [3], "int32")], [y], keep_dims=True)
    else:
        y = b.tensor("y", SHAPE, "int8", **OUT)
        b.operator("ELU", [x], [y])
    loaded = load_tflite(b.build([y]), label="model.tflite", name=name)

    data = rng.integers(-128, 128, SHAPE, "int8")
    (computed,) = run_on_host(loaded.module, [data])
    real = (data.astype("float64") + 3) * 0.05
    if name == "SUM":
        expected = real.sum(axis=3, keepdims=True) / 0.2 + 9
    else:
        expected = np.where(real > 0, real, np.expm1(real)) / 0.04 + 5
    assert computed.dtype == np.int8
    assert np.abs(np.clip(np.round(expected), -128, 127) - computed).max() <= 1
