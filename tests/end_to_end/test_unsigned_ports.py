"""Images of uint8, as cameras give them: no tensor more than with int8, and the sources' bits."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from rich.console import Console

import dero_tvm
from dero_tvm.report.text_table import print_report
from relax_passes.ir.attributes import DECISIONS, NOTES
from tests.compiled.c_batch import CLibrary, streamed_library
from tests.end_to_end.oracles import litert, only, onnx_runtime, skip_unless_runnable
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder

SHAPE = (1, 12, 10, 3)
OF_IMAGE = {"scale": 1 / 255, "zero_point": 0}
OF_OTHER = {"scale": 0.0071, "zero_point": 91}


def port(of: dict, dtype: str) -> dict:
    return {**of, "zero_point": of["zero_point"] - (128 if dtype == "int8" else 0)}


def converted(b: TFLiteBuilder, source: int, of: dict) -> int:
    """QUANTIZE to int8, as converters write it behind a uint8 input."""
    target = b.tensor("image", None, "int8", **port(of, "int8"))
    b.operator("QUANTIZE", [source], [target])
    return target


def conv(b: TFLiteBuilder, x: int, channels: int, of: dict, stride: int = 1) -> int:
    rng = np.random.default_rng(channels + stride)
    weight = rng.integers(-127, 128, (channels, 3, 3, 3)).astype(np.int8)
    w = b.constant("w", weight, scale=0.0031)
    bias = b.constant("b", rng.integers(-9999, 9999, channels).astype(np.int32), scale=0.0031 / 255)
    y = b.tensor("y", None, "int8", **of)
    b.operator("CONV_2D", [x, w, bias], [y], padding="SAME", stride_w=stride, stride_h=stride)
    return y


def image_to_image(dtype: str) -> bytes:
    """uint8 at both ends of a convolution, or int8 without the conversions."""
    b = TFLiteBuilder()
    x = b.input("x", SHAPE, dtype, **port(OF_IMAGE, dtype))
    of_y = {"scale": 0.02, "zero_point": 4}
    y = conv(b, converted(b, x, OF_IMAGE) if dtype == "uint8" else x, 3, of_y)
    if dtype == "uint8":
        out = b.tensor("out", None, dtype, **{**of_y, "zero_point": 132})
        b.operator("QUANTIZE", [y], [out])
        y = out
    return b.build(outputs=[y])


def classifier(change: Callable[[TFLiteBuilder, int], int]) -> bytes:
    b = TFLiteBuilder()
    image = change(b, b.input("x", SHAPE, "uint8", **OF_IMAGE))
    return b.build(outputs=[conv(b, image, 4, {"scale": 0.03, "zero_point": -3}, stride=2)])


def padded(b: TFLiteBuilder, x: int) -> int:
    image = converted(b, x, OF_IMAGE)
    y = b.tensor("padded", None, "int8", **port(OF_IMAGE, "int8"))
    widths = b.constant("widths", np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))
    b.operator("PAD", [image, widths], [y])
    return y


def read_twice(b: TFLiteBuilder, x: int) -> int:
    images = [converted(b, x, of) for of in (OF_IMAGE, OF_OTHER)]
    y = b.tensor("sum", None, "int8", scale=0.011, zero_point=-9)
    b.operator("ADD", images, [y])
    return y


def float_image(b: TFLiteBuilder, x: int) -> int:
    """Preprocessing in the file: a cast, a factor, a quantization."""
    real, scaled = b.tensor("real", None), b.tensor("scaled", None)
    b.operator("CAST", [x], [real], in_data_type="UINT8", out_data_type="FLOAT32")
    b.operator("MUL", [real, b.constant("factor", np.float32(1 / 255))], [scaled])
    return converted(b, scaled, OF_OTHER)


TFLITE = {
    "image_to_image": image_to_image("uint8"),
    "one_scale": classifier(lambda b, x: converted(b, x, OF_IMAGE)),
    "another_scale": classifier(lambda b, x: converted(b, x, OF_OTHER)),
    "padded": classifier(padded),
    "read_twice": classifier(read_twice),
    "float_image": classifier(float_image),
}


def qdq(image: Callable[[QDQModel], str], output: np.generic) -> onnx.ModelProto:
    """A convolution of a uint8 image of NCHW, with integers of `output`'s type as result."""
    model = QDQModel()
    rng = np.random.default_rng(7)
    weight = model.constant(rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8))
    weight = model.dequantize(weight, 0.0031, np.int8(0))
    bias = model.constant(rng.integers(-9999, 9999, 4).astype(np.int32))
    bias = model.dequantize(bias, 0.0031 / 255, np.int32(0))
    y = model.node("Conv", image(model), weight, bias, pads=[1, 1, 1, 1], strides=[2, 2])
    dtype = {np.uint8: "uint8", np.int8: "int8"}[type(output)]
    return model.build(y=(model.quantize(y, 0.0273, output), dtype))


def onnx_input(model: QDQModel) -> str:
    return model.input("x", (1, 3, 12, 10), "uint8")


def quantized_image(model: QDQModel) -> str:
    return model.dequantize(onnx_input(model), 1 / 255, np.uint8(0))


def scaled_image(model: QDQModel) -> str:
    real = model.node("Cast", onnx_input(model), to=onnx.TensorProto.FLOAT)
    real = model.node("Div", real, model.constant(np.float32(255)))
    return model.rounded(real, 1 / 255, np.uint8(0))


ONNX = {
    "qdq": qdq(quantized_image, np.uint8(120)),
    "qdq_to_int8": qdq(quantized_image, np.int8(-8)),
    "cast": qdq(scaled_image, np.uint8(120)),
}


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of all cases."""
    return streamed_library({**TFLITE, **ONNX})


def images(shape: tuple[int, ...], count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape).astype(np.uint8) for _ in range(count)]


@pytest.mark.parametrize("name", TFLITE)
def test_litert(library: CLibrary, name: str) -> None:
    inputs = images(SHAPE, 6)
    for data, expected in zip(inputs, litert(TFLITE[name], inputs)):
        np.testing.assert_array_equal(only(library.run(name, {"x": data})[0]), expected)


@pytest.mark.parametrize("name", ONNX)
def test_onnx_runtime(library: CLibrary, name: str) -> None:
    feeds = [{"x": data} for data in images((1, 3, 12, 10), 6)]
    for feed, expected in zip(feeds, onnx_runtime(ONNX[name], feeds)):
        np.testing.assert_array_equal(library.run(name, feed)[0]["y"], expected["y"])


@pytest.mark.parametrize("name", [*TFLITE, *ONNX])
def test_nothing_is_left_to_tvm_or_in_float(name: str) -> None:
    main = dero_tvm.compile({**TFLITE, **ONNX}[name], dero="none").module["main"]
    assert NOTES not in main.attrs
    text = str(main.without_attr(DECISIONS))
    assert "R.astype" not in text and 'dtype="float32"' not in text


@pytest.mark.parametrize("options", [
    {"dero": "none"}, {"dero": "stream"}, {"stream_input": True, "stream_output": True},
], ids=lambda options: options.get("dero", "rows"))  # fmt: skip
def test_as_small_as_int8(options: dict) -> None:
    skip_unless_runnable("host-c")
    unsigned, signed = (
        dero_tvm.compile(image_to_image(dtype), **{"dero": "stream", **options})
        for dtype in ("uint8", "int8")
    )
    assert unsigned.report.arena_bytes == signed.report.arena_bytes
    (data,) = images(SHAPE, 1)
    (of_unsigned,) = unsigned.run([{"x": data}], "host-c")
    (of_signed,) = signed.run([{"x": (data ^ 128).view(np.int8)}], "host-c")
    np.testing.assert_array_equal(only(of_unsigned) ^ 128, only(of_signed).view(np.uint8))


def test_header_and_report_say_the_type() -> None:
    model = dero_tvm.compile(image_to_image("uint8"), stream_input=True)
    header = model.archive.c_headers()["tvmgen_default.h"].decode()
    assert "tvmgen_default_input_row_fn x; /* x: 1x12x10x3 uint8 */" in header
    assert "void *out; /* out: 1x12x10x3 uint8 */" in header
    assert "OUT_ZERO_POINT 132" in header
    console = Console(width=200, file=io.StringIO())
    print_report(model.report, console)
    assert "Input x: 1x12x10x3 uint8, 0.00392157 * q." in console.file.getvalue()
