"""uint8 TFLite operators, as TensorFlow 1 quantized them: the C against LiteRT, bit by bit.

Zero points of data, weights and outputs are drawn from all of uint8, sums spread over the range of
the output.  TensorFlow Lite Micro has none of these kernels; LiteRT's reference kernels decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tflite.BuiltinOperator import BuiltinOperator

import dero_tvm
from relax_passes.ir.attributes import DECISIONS
from tests.compiled.c_batch import CLibrary, streamed_library
from tests.end_to_end.oracles import cut_before, litert, only
from tests.models.tflite_builder import TFLiteBuilder

SHAPE = (1, 9, 8, 5)
FUSED = "fused_activation_function"
MOBILENET = "models/zoo/mobilenet_v1_0.25_128_quant.tflite"
Build = Callable[[TFLiteBuilder, np.random.Generator], int]
CASES: dict[str, Build] = {}


def numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 256, shape).astype(np.uint8)


def quantization(rng: np.random.Generator, scale: float | None = None) -> dict[str, float]:
    scale = float(np.float32(rng.uniform(0.01, 0.1))) if scale is None else scale
    return {"scale": scale, "zero_point": int(rng.integers(0, 256))}


def of_sums(taps: int, unit: float, of_x: Mapping, of_w: Mapping) -> dict[str, float]:
    """Scale and zero point for sums of random products, less the rarest."""
    away = [127.5 - of["zero_point"] for of in (of_x, of_w)]
    variances = [74.0**2 + distance**2 for distance in away]
    spread = 2 * np.sqrt(taps * (np.prod(variances) - np.prod(away) ** 2))
    low = min(0.0, taps * np.prod(away) - spread) * unit
    high = max(0.0, taps * np.prod(away) + spread) * unit
    scale = float(np.float32((high - low) / 255))
    return {"scale": scale, "zero_point": int(np.rint(-low / scale))}


def layer(code: str, zero_point: int | None = None, **options) -> Build:
    """A layer with weights; `zero_point` is that of the weights, drawn if None."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> int:
        of_x = {**quantization(rng), **({"zero_point": 131} if options.get(FUSED) else {})}
        x = b.input("x", SHAPE, "uint8", **of_x)
        shape, channels = {
            "CONV_2D": ((7, 3, 2, 5), 7),
            "DEPTHWISE_CONV_2D": ((1, 3, 3, 10), 10),
            "FULLY_CONNECTED": ((6, 40), 6),
        }[code]
        of_w = quantization(rng, 0.003 if options.get(FUSED) else None)
        of_w |= {} if zero_point is None else {"zero_point": zero_point}
        w = b.constant("w", numbers(rng, shape), **of_w)
        unit = float(np.float32(of_x["scale"]) * np.float32(of_w["scale"]))
        values = rng.integers(-9999, 9999, channels).astype(np.int32)
        bias = b.constant("b", values, scale=unit)
        taps = int(np.prod(shape)) // channels
        y = b.tensor("y", None, "uint8", **of_sums(taps, unit, of_x, of_w))
        b.operator(code, [x, w, bias], [y], **options)
        return y

    return build


for padding in ("SAME", "VALID"):
    for stride in (1, 2):
        strides = {"padding": padding, "stride_w": stride, "stride_h": stride}
        CASES[f"conv_{padding}_{stride}"] = layer("CONV_2D", **strides)
        CASES[f"depthwise_{padding}_{stride}"] = layer(
            "DEPTHWISE_CONV_2D", depth_multiplier=2, **strides
        )
CASES["conv_relu6"] = layer("CONV_2D", padding="SAME", fused_activation_function="RELU6")
for zero in (0, 128, 255):
    CASES[f"conv_weights_around_{zero}"] = layer("CONV_2D", zero, padding="SAME")


def dense_of_ties(b: TFLiteBuilder, rng: np.random.Generator) -> int:
    """A factor of 1/16: one sum in 16 lies halfway between two integers."""
    x = b.input("x", SHAPE, "uint8", scale=0.5, zero_point=128)
    w = b.constant("w", rng.integers(99, 102, (6, 40)).astype(np.uint8), scale=0.5, zero_point=100)
    bias = b.constant("b", np.arange(-3, 3, dtype=np.int32), scale=0.25)
    y = b.tensor("y", None, "uint8", scale=4.0, zero_point=120)
    b.operator("FULLY_CONNECTED", [x, w, bias], [y])
    return y


CASES["dense_of_ties"] = dense_of_ties
CASES["dense"] = layer("FULLY_CONNECTED")
CASES["dense_relu"] = layer("FULLY_CONNECTED", fused_activation_function="RELU")


def pool(code: str, height: int, width: int, padding: str, activation: str = "NONE") -> Build:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> int:
        of_x = quantization(rng) if activation == "NONE" else {"scale": 0.05, "zero_point": 60}
        x, y = b.input("x", SHAPE, "uint8", **of_x), b.tensor("y", None, "uint8", **of_x)
        window = {"filter_height": height, "filter_width": width, "stride_h": 2, "stride_w": 1}
        b.operator(code, [x], [y], padding=padding, fused_activation_function=activation, **window)
        return y

    return build


for size in ((2, 2), (3, 2), (9, 8)):
    CASES[f"average_{size[0]}x{size[1]}"] = pool("AVERAGE_POOL_2D", *size, "VALID")
CASES["average_same"] = pool("AVERAGE_POOL_2D", 3, 4, "SAME")
CASES["average_relu6"] = pool("AVERAGE_POOL_2D", 2, 2, "VALID", "RELU6")
CASES["max_same"] = pool("MAX_POOL_2D", 3, 4, "SAME")


def mean(same_scale: bool, keep_dims: bool) -> Build:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> int:
        of_x = quantization(rng)
        x = b.input("x", SHAPE, "uint8", **of_x)
        of_y = of_x if same_scale else {**of_x, "scale": of_x["scale"] * 0.6}
        y = b.tensor("y", None, "uint8", **of_y)
        axes = b.constant("axes", np.array([1, 2], np.int32))
        b.operator("MEAN", [x, axes], [y], keep_dims=keep_dims)
        return y

    return build


for same_scale in (False, True):
    for keep_dims in (False, True):
        CASES[f"mean_{same_scale}_{keep_dims}"] = mean(same_scale, keep_dims)


def concat_with_constant(b: TFLiteBuilder, rng: np.random.Generator) -> int:
    x = b.input("x", SHAPE, "uint8", **quantization(rng))
    c = b.constant("c", numbers(rng, (1, 9, 8, 3)), **quantization(rng))
    y = b.tensor("y", None, "uint8", **quantization(rng))
    b.operator("CONCATENATION", [x, c, x], [y], axis=3)
    return y


CASES["concat_of_three_scales"] = concat_with_constant


def unary(code: str, scale: float | None = None, zero_point: int = 0, **options) -> Build:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> int:
        x = b.input("x", SHAPE, "uint8", **quantization(rng))
        own = {"scale": scale, "zero_point": zero_point} if scale else quantization(rng)
        y = b.tensor("y", None, "uint8", **own)
        b.operator(code, [x], [y], **options)
        return y

    return build


CASES |= {
    "hard_swish": unary("HARD_SWISH"),
    "leaky_relu": unary("LEAKY_RELU", alpha=0.3),
    "logistic": unary("LOGISTIC", 1 / 256),
    "quantize": unary("QUANTIZE"),
    "relu6": unary("RELU6"),
    "softmax": unary("SOFTMAX", 1 / 256, beta=1.0),
    "tanh": unary("TANH", 1 / 128, 128),
}


def models() -> dict[str, bytes]:
    found = {}
    for name, build in CASES.items():
        builder = TFLiteBuilder()
        output = build(builder, np.random.default_rng(list(name.encode())))
        found[name] = builder.build(outputs=[output])
    return found


MODELS = models()


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of all cases."""
    return streamed_library(MODELS)


@pytest.mark.parametrize("name", CASES)
def test_every_bit_is_litert(library: CLibrary, name: str) -> None:
    rng = np.random.default_rng(0)
    inputs = [numbers(rng, SHAPE) for _ in range(12)]
    inputs += [np.full(SHAPE, value, np.uint8) for value in (0, 127, 128, 255)]
    expected = litert(MODELS[name], inputs)
    assert len(np.unique(expected)) > 8
    for data, values in zip(inputs, expected):
        np.testing.assert_array_equal(library.run(name, {"x": data})[0]["y"], values)


@pytest.mark.parametrize("name", [name for name in CASES if "conv" in name or "dense" in name])
def test_layers_are_integer(name: str) -> None:
    module = dero_tvm.compile(MODELS[name], dero="none").module
    assert "dero.notes" not in module["main"].attrs
    assert "float32" not in str(module["main"].without_attr(DECISIONS))


@pytest.mark.parametrize("dero", ["none", "stream"])
def test_mobilenet(dero: str, shared: Path) -> None:
    """Its probabilities, and its logits, which tell more images apart."""
    whole = (shared / MOBILENET).read_bytes()
    rng = np.random.default_rng(1)
    shape = (1, 128, 128, 3)
    smooth = np.clip(rng.normal(128, 40, (1, 8, 8, 3)).repeat(16, 1).repeat(16, 2), 0, 255)
    images = [numbers(rng, shape), smooth.astype(np.uint8), np.zeros(shape, np.uint8)]
    for content in (whole, cut_before(whole, BuiltinOperator.SOFTMAX)):
        model = dero_tvm.compile(content, dero=dero)
        assert "dero.notes" not in model.module["main"].attrs
        outputs = model.run([{"input": image} for image in images], "host-c")
        for output, expected in zip(outputs, litert(content, images)):
            np.testing.assert_array_equal(only(output), expected)
