"""Quantized TFLite operators with random scales, zero points and shapes, for sweeps.

A case is a function of a builder and a random generator that adds one operator to a model and
returns the model's outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tests.models.tflite_builder import TFLiteBuilder

Case = Callable[[TFLiteBuilder, np.random.Generator], list[int]]

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def quantization(
    rng: np.random.Generator, scale: float | None = None, dtype: str = "int8"
) -> dict[str, Any]:
    """A scale (near `scale`, by up to a factor of 8) and a zero point, often an extreme one.

    int16 has zero points of 0 and 256ths of the scales.
    """
    exponent = rng.uniform(-8, 0) if scale is None else np.log2(scale) + rng.uniform(-3, 3)
    if dtype == "int16":
        exponent -= 8 if scale is None else 0
        return {"scale": float(np.float32(2.0**exponent)), "zero_point": 0}
    zero_points = (-128, 127, 0, int(rng.integers(-128, 128)), int(rng.integers(-128, 128)))
    return {"scale": float(np.float32(2.0**exponent)), "zero_point": int(rng.choice(zero_points))}


def shape(rng: np.random.Generator, least: int = 1) -> tuple[int, ...]:
    height, width, channels = (int(n) for n in rng.integers(least, least + 6, 3))
    return (1, height, width, channels)


def unary(
    code: str,
    out: dict[str, Any] | None = None,
    *,
    positive: bool = False,
    dtype: str = "int8",
    **options: Any,
) -> Case:
    """One operand, with all its 256 values; `out` None leaves the output's scale to chance."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        own = quantization(rng, dtype=dtype)
        if positive:
            own["zero_point"] = -128
        x = b.input("x", (1, 16, 16, 2), dtype, **own)
        drawn = {key: value(rng) if callable(value) else value for key, value in options.items()}
        y = b.tensor("y", (1, 16, 16, 2), dtype, **(out or quantization(rng, own["scale"], dtype)))
        b.operator(code, [x], [y], **drawn)
        return [y]

    return build


def same(code: str, **options: Any) -> Case:
    """One operand of which the output has scale and zero point."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        own = quantization(rng)
        x = b.input("x", shape(rng, 3), "int8", **own)
        drawn = {key: value(rng) if callable(value) else value for key, value in options.items()}
        y = b.tensor("y", None, "int8", **own)
        b.operator(code, [x], [y], **drawn)
        return [y]

    return build


def binary(code: str, like: str = "sum", activations: bool = True, dtype: str = "int8") -> Case:
    """Two operands, one of them broadcast; the output's scale is `like` a sum, product, ..."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        whole = shape(rng)
        part = tuple(n if rng.random() < 0.5 else 1 for n in whole)
        first = quantization(rng, dtype=dtype)
        second = first if like == "operands" else quantization(rng, first["scale"], dtype)
        larger = max(first["scale"], second["scale"])
        room = 8 if dtype == "int8" else 8 << 8  # a product of two int16 numbers is wider
        scale = {"sum": larger, "square": 8 * larger**2, "operands": larger}.get(
            like, room * first["scale"] * second["scale"]
        )
        out = first if like == "operands" else quantization(rng, scale, dtype)
        options = {"fused_activation_function": str(rng.choice(ACTIVATIONS))} if activations else {}
        x = b.input("x", whole, dtype, **first)
        z = b.input("z", part, dtype, **second)
        y = b.tensor("y", None, dtype, **out)
        operands = [x, z] if like == "slopes" or rng.random() < 0.5 else [z, x]
        b.operator(code, operands, [y], **options)
        return [y]

    return build


def reduction(code: str, requantized: bool = True, dtype: str = "int8") -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        own = quantization(rng, dtype=dtype)
        x = b.input("x", shape(rng, 2), dtype, **own)
        axes = [[1, 2], [3], [1], [0, 3], [2, 3]][rng.integers(5)]
        out = quantization(rng, own["scale"], dtype) if requantized and rng.random() < 0.7 else own
        y = b.tensor("y", None, dtype, **out)
        keep = bool(rng.random() < 0.5)
        b.operator(code, [x, b.constant("axes", axes, "int32")], [y], keep_dims=keep)
        return [y]

    return build


def pooling(code: str, dtype: str = "int8") -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        own = quantization(rng, dtype=dtype)
        x = b.input("x", shape(rng, 4), dtype, **own)
        y = b.tensor("y", None, dtype, **own)
        names = ("filter_width", "filter_height", "stride_w", "stride_h")
        options = {name: int(rng.integers(1, 4)) for name in names}
        options["padding"] = str(rng.choice(["SAME", "VALID"]))
        options["fused_activation_function"] = str(rng.choice(ACTIVATIONS))
        b.operator(code, [x], [y], **options)
        return [y]

    return build


def bilinear(b: TFLiteBuilder, rng: np.random.Generator, dtype: str = "int8") -> list[int]:
    own = quantization(rng, dtype=dtype)
    x = b.input("x", shape(rng), dtype, **own)
    size = b.constant("size", rng.integers(1, 16, 2), "int32")
    y = b.tensor("y", None, dtype, **own)
    mode = rng.choice(["", "align_corners", "half_pixel_centers"])
    b.operator("RESIZE_BILINEAR", [x, size], [y], **({str(mode): True} if mode else {}))
    return [y]


def layer(code: str, dtype: str = "int8", bias_type: str = "int32") -> Case:
    """A layer with weights, and a bias whose scale says anything or nothing."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        own = quantization(rng, dtype=dtype)
        dims = shape(rng, 4)
        if code == "FULLY_CONNECTED":
            dims = (int(rng.integers(1, 4)), int(rng.integers(1, 20)))
        channels = int(rng.integers(1, 6))
        kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        stride = {"stride_h": int(rng.integers(1, 4)), "stride_w": int(rng.integers(1, 4))}
        padding = str(rng.choice(["SAME", "VALID"]))
        options: dict[str, Any] = {"padding": padding, **stride}
        if code in ("CONV_2D", "DEPTHWISE_CONV_2D") and padding == "SAME":
            options["dilation_h_factor"] = int(rng.integers(1, 3))
            options["dilation_w_factor"] = int(rng.integers(1, 4))
        axis, weight_shape = 0, (channels, *kernel, dims[-1])
        if code == "FULLY_CONNECTED":
            options, weight_shape = {}, (channels, dims[-1])
        if code == "DEPTHWISE_CONV_2D":
            options["depth_multiplier"] = int(rng.integers(1, 3))
            channels = dims[-1] * options["depth_multiplier"]
            axis, weight_shape = 3, (1, *kernel, channels)
        if code != "TRANSPOSE_CONV":
            options["fused_activation_function"] = str(rng.choice(ACTIVATIONS))
        several = code != "FULLY_CONNECTED" and rng.random() < 0.7
        scales = np.exp2(rng.uniform(-9, -3, channels if several else 1)).astype("float32")
        unit = scales * np.float32(own["scale"])
        values = rng.integers(-127, 128, weight_shape).astype("int8")
        x = b.input("x", dims, dtype, **own)
        w = b.constant("w", values, scale=scales, axis=axis)
        operands = [x, w]
        if code == "TRANSPOSE_CONV":
            size = [_grown(*a, padding) for a in zip(dims[1:3], kernel, stride.values())]
            operands = [b.constant("shape", [1, *size, channels], "int32"), w, x]
        if code == "CONV_2D" or rng.random() < 0.8:
            # LiteRT wants the bias of a fully connected layer near the product.
            other = unit if code == "FULLY_CONNECTED" else unit * rng.choice([1, 1.001, 5, 1e-3])
            most = 3000 if dtype == "int8" else 1 << 20
            bias = rng.integers(-most, most, channels)
            operands.append(b.constant("b", bias, bias_type, scale=other))
        fan_in = values[0].size if axis == 0 else kernel[0] * kernel[1]
        out = quantization(rng, float(unit.max()) * 40 * np.sqrt(fan_in), dtype)
        y = b.tensor("y", None, dtype, **out)
        version = {"int16": 4, "int8": 1}[dtype] if code != "TRANSPOSE_CONV" else 3
        b.operator(code, operands, [y], version=version, **options)
        return [y]

    return build


def _grown(rows: int, kernel: int, stride: int, padding: str) -> int:
    return rows * stride if padding == "SAME" else (rows - 1) * stride + kernel


def concatenation(b: TFLiteBuilder, rng: np.random.Generator, dtype: str = "int8") -> list[int]:
    own = quantization(rng, dtype=dtype)
    dims = shape(rng)
    parts = [b.input(f"x{i}", dims, dtype, **own) for i in range(3)]
    y = b.tensor("y", None, dtype, **own)
    b.operator("CONCATENATION", parts, [y], axis=int(rng.integers(-1, 4)))
    return [y]


def converted(source: str, target: str) -> Case:
    """QUANTIZE and DEQUANTIZE between two types."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        def of(dtype: str, like: float | None = None) -> dict[str, Any]:
            if dtype == "float32":
                return {}
            own = quantization(rng, like, dtype)
            return {**own, "zero_point": own["zero_point"] + (128 if dtype == "uint8" else 0)}

        own = of(source)
        x = b.input("x", (1, 16, 16, 2), source, **own)
        y = b.tensor("y", None, target, **of(target, own.get("scale")))
        b.operator("DEQUANTIZE" if target == "float32" else "QUANTIZE", [x], [y])
        return [y]

    return build


def behind_transposes(case: Case) -> Case:
    """As networks that were converted from channels-first have it."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        plain = b.input
        order = rng.permutation([1, 2, 3])

        def transposed(name: str, shape: Sequence[int], dtype: str, **quantization: Any) -> int:
            if len(shape) != 4:
                return plain(name, shape, dtype, **quantization)
            axes = [0, *order]
            given = [shape[axes.index(axis)] for axis in range(4)]
            x = plain(name, given, dtype, **quantization)
            y = b.tensor(f"{name} transposed", shape, dtype, **quantization)
            b.operator("TRANSPOSE", [x, b.constant(f"axes of {name}", axes, "int32")], [y])
            return y

        b.input = transposed  # type: ignore[method-assign]
        return case(b, rng)

    return build


UNIT = {"scale": 1 / 256, "zero_point": -128}
SYMMETRIC = {"scale": 1 / 128, "zero_point": 0}

LITERT: dict[str, Case] = {
    "ABS": unary("ABS"),
    "ADD": binary("ADD"),
    "AVERAGE_POOL_2D": pooling("AVERAGE_POOL_2D"),
    "CONCATENATION": concatenation,
    "CONV_2D": layer("CONV_2D"),
    "DEPTHWISE_CONV_2D": layer("DEPTHWISE_CONV_2D"),
    "DEQUANTIZE": converted("int8", "float32"),
    "DEQUANTIZE of uint8": converted("uint8", "float32"),
    "EXP": unary("EXP"),
    "GELU": unary("GELU", approximate=lambda rng: bool(rng.random() < 0.5)),
    "HARD_SWISH": unary("HARD_SWISH"),
    "L2_NORMALIZATION": unary("L2_NORMALIZATION", SYMMETRIC),
    "LEAKY_RELU": unary("LEAKY_RELU", alpha=lambda rng: float(rng.uniform(-1, 2))),
    "LOG": unary("LOG"),
    "LOG_SOFTMAX": unary("LOG_SOFTMAX", {"scale": 16 / 256, "zero_point": 127}),
    "MAXIMUM": binary("MAXIMUM", "operands", activations=False),
    "MAX_POOL_2D": pooling("MAX_POOL_2D"),
    "MEAN": reduction("MEAN"),
    "MINIMUM": binary("MINIMUM", "operands", activations=False),
    "MUL": binary("MUL", "product"),
    "PRELU": binary("PRELU", "slopes", activations=False),
    "QUANTIZE": unary("QUANTIZE"),
    "QUANTIZE of float32": converted("float32", "int8"),
    "QUANTIZE of uint8": converted("uint8", "int8"),
    "QUANTIZE to uint8": converted("int8", "uint8"),
    "REDUCE_MAX": reduction("REDUCE_MAX", requantized=False),
    "REDUCE_MIN": reduction("REDUCE_MIN", requantized=False),
    "RELU": unary("RELU"),
    "RELU6": unary("RELU6"),
    "RELU_0_TO_1": unary("RELU_0_TO_1"),
    "RELU_N1_TO_1": unary("RELU_N1_TO_1"),
    "RESIZE_BILINEAR": bilinear,
    "RSQRT": unary("RSQRT", positive=True),
    "SOFTMAX": unary("SOFTMAX", UNIT, beta=lambda rng: float(rng.uniform(0.2, 2))),
    "SQRT": unary("SQRT", positive=True),
    "SQUARED_DIFFERENCE": binary("SQUARED_DIFFERENCE", "square", activations=False),
    "SUB": binary("SUB"),
    "TRANSPOSE_CONV": layer("TRANSPOSE_CONV"),
}
"""Operators with the bits of LiteRT's reference kernels."""

TRANSPOSED = {f"{name} transposed": behind_transposes(case) for name, case in LITERT.items()}

MICRO: dict[str, Case] = {
    "ELU": unary("ELU"),
    "FULLY_CONNECTED": layer("FULLY_CONNECTED"),
    "LOGISTIC": unary("LOGISTIC", UNIT),
    "SUM": reduction("SUM"),
    "TANH": unary("TANH", SYMMETRIC),
}
"""Operators for which LiteRT's reference kernels lack int8, or leave its fixed point."""


def prelu_of_int16(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """With slopes of int8, which LiteRT has no kernel for."""
    own, dims = quantization(rng, dtype="int16"), shape(rng)
    slope = quantization(rng)
    x = b.input("x", dims, "int16", **own)
    values = rng.integers(-127, 128, (1, 1, dims[-1]))
    y = b.tensor("y", dims, "int16", **quantization(rng, own["scale"], "int16"))
    b.operator("PRELU", [x, b.constant("slopes", values, "int8", **slope)], [y])
    return [y]


def moved(
    code: str, *constants: Any, before: bool = False, results: int = 1, **options: Any
) -> Case:
    """int16 values at other places; `before` has the constants in front of the data."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        own = quantization(rng, dtype="int16")
        x = b.input("x", (1, 6, 8, 4), "int16", **own)
        others = [b.constant(f"c{i}", c, "int32") for i, c in enumerate(constants)]
        outputs = [b.tensor(f"y{i}", None, "int16", **own) for i in range(results)]
        b.operator(code, [*others, x] if before else [x, *others], outputs, **options)
        return outputs

    return build


def reshaped_by_shape(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """As models with an open batch say it: what SHAPE tells of an int16 tensor."""
    own = quantization(rng, dtype="int16")
    x = b.input("x", (1, 6, 8, 4), "int16", **own)
    lengths = b.tensor("lengths", [4], "int32")
    b.operator("SHAPE", [x], [lengths], out_type=2)  # int32
    batch = b.tensor("batch", [], "int32")
    bounds = [b.constant(f"c{i}", [value], "int32") for i, value in enumerate((0, 1, 1))]
    b.operator("STRIDED_SLICE", [lengths, *bounds], [batch], shrink_axis_mask=1)
    wanted = b.tensor("wanted", [2], "int32")
    b.operator("PACK", [batch, b.constant("rest", 192, "int32")], [wanted], values_count=2)
    y = b.tensor("y", (1, 192), "int16", **own)
    b.operator("RESHAPE", [x, wanted], [y])
    return [y]


Q15 = {"scale": 1 / 32768, "zero_point": 0}

INT16_LITERT: dict[str, Case] = {
    "16x8 ADD": binary("ADD", dtype="int16"),
    "16x8 AVERAGE_POOL_2D": pooling("AVERAGE_POOL_2D", "int16"),
    "16x8 CONCATENATION": partial(concatenation, dtype="int16"),
    "16x8 CONV_2D": layer("CONV_2D", "int16", "int64"),
    "16x8 DEPTHWISE_CONV_2D": layer("DEPTHWISE_CONV_2D", "int16", "int64"),
    "16x8 DEQUANTIZE": converted("int16", "float32"),
    "16x8 LEAKY_RELU": unary(
        "LEAKY_RELU", dtype="int16", alpha=lambda rng: float(rng.uniform(-1, 2))
    ),
    "16x8 LOGISTIC": unary("LOGISTIC", Q15, dtype="int16"),
    "16x8 MAXIMUM": binary("MAXIMUM", "operands", activations=False, dtype="int16"),
    "16x8 MAX_POOL_2D": pooling("MAX_POOL_2D", "int16"),
    "16x8 MEAN": reduction("MEAN", dtype="int16"),
    "16x8 MINIMUM": binary("MINIMUM", "operands", activations=False, dtype="int16"),
    "16x8 MUL": binary("MUL", "product", dtype="int16"),
    "16x8 QUANTIZE": unary("QUANTIZE", dtype="int16"),
    "16x8 QUANTIZE of float32": converted("float32", "int16"),
    "16x8 QUANTIZE of int8": converted("int8", "int16"),
    "16x8 QUANTIZE to int8": converted("int16", "int8"),
    "16x8 REDUCE_MAX": reduction("REDUCE_MAX", requantized=False, dtype="int16"),
    "16x8 REDUCE_MIN": reduction("REDUCE_MIN", requantized=False, dtype="int16"),
    "16x8 RELU": unary("RELU", dtype="int16"),
    "16x8 RELU6": unary("RELU6", dtype="int16"),
    "16x8 GATHER": moved("GATHER", [3, 1, 0], axis=3),
    "16x8 MIRROR_PAD": moved("MIRROR_PAD", [[0, 0], [1, 2], [0, 1], [0, 0]], mode="REFLECT"),
    "16x8 PAD": moved("PAD", [[0, 0], [1, 2], [0, 1], [0, 0]]),
    "16x8 RESIZE_BILINEAR": partial(bilinear, dtype="int16"),
    "16x8 RESIZE_NEAREST_NEIGHBOR": moved("RESIZE_NEAREST_NEIGHBOR", [12, 16]),
    "16x8 REVERSE_V2": moved("REVERSE_V2", [2]),
    "16x8 SHAPE": reshaped_by_shape,
    "16x8 SPACE_TO_BATCH_ND": moved("SPACE_TO_BATCH_ND", [2, 2], [[0, 0], [0, 0]]),
    "16x8 SPLIT": moved("SPLIT", 3, before=True, results=2, num_splits=2),
    "16x8 STRIDED_SLICE": moved("STRIDED_SLICE", [0, 1, 0, 1], [1, 6, 8, 4], [1, 2, 3, 1]),
    "16x8 SUB": binary("SUB", dtype="int16"),
    "16x8 TANH": unary("TANH", Q15, dtype="int16"),
    "16x8 TILE": moved("TILE", [1, 2, 1, 1]),
    "16x8 TRANSPOSE": moved("TRANSPOSE", [0, 2, 1, 3]),
    "16x8 TRANSPOSE_CONV": layer("TRANSPOSE_CONV", "int16", "int64"),
}
"""The same on int16 activations."""


INT16_MICRO: dict[str, Case] = {
    "16x8 PRELU": prelu_of_int16,
    "16x8 FULLY_CONNECTED with int32": layer("FULLY_CONNECTED", "int16"),
    "16x8 FULLY_CONNECTED": layer("FULLY_CONNECTED", "int16", "int64"),
    "16x8 CONV_2D with int32": layer("CONV_2D", "int16"),
    "16x8 SOFTMAX": unary(
        "SOFTMAX", Q15, dtype="int16", beta=lambda rng: float(rng.uniform(0.2, 2))
    ),
    "16x8 SUM": reduction("SUM", dtype="int16"),
}
"""Those that LiteRT lacks, or computes with other tables or sums."""
