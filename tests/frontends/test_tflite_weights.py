"""TFLite files that keep weights in fewer bits than they compute with, as float32 networks."""

from __future__ import annotations

import re

import numpy as np
import pytest

import dero_tvm
from tests.compiled.c_batch import CLibrary, streamed_library
from tests.end_to_end.oracles import relative_difference
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference

SHAPE = (1, 7, 6, 3)
SCALES = np.float32([0.004, 0.01, 0.0033, 0.02])
FORMS = ("float16", "int8", "uint8")
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def weight(b: TFLiteBuilder, shape: tuple[int, ...], axis: int, form: str) -> int:
    """A constant in one of the forms."""
    rng = np.random.default_rng(7)
    if form == "float16":
        half = b.constant("half", rng.normal(size=shape).astype(np.float16))
        full = b.tensor("full", shape)
        b.operator("DEQUANTIZE", [half], [full])
        return full
    integers = rng.integers(-127, 128, shape)
    if form == "uint8":
        return b.constant("w", (integers + 128).astype("uint8"), scale=0.004, zero_point=121)
    scales = SCALES[: shape[axis]]
    return b.constant("w", integers.astype(np.int8), scale=scales.astype(float), axis=axis)


def expanded(shape: tuple[int, ...], axis: int, form: str) -> np.ndarray:
    """The numbers that the constant stands for."""
    rng = np.random.default_rng(7)
    if form == "float16":
        return rng.normal(size=shape).astype(np.float16).astype(np.float32)
    integers = rng.integers(-127, 128, shape)
    if form == "uint8":
        return (integers + 128 - 121).astype(np.float32) * np.float32(0.004)
    along = [1] * len(shape)
    along[axis] = shape[axis]
    return integers.astype(np.float32) * SCALES[: shape[axis]].reshape(along)


def layer(code: str, form: str, *, in_float: bool) -> bytes:
    """One layer with weights in a form, or with what they stand for."""
    shape, axis = {
        "CONV_2D": ((4, 3, 3, 3), 0),
        "DEPTHWISE_CONV_2D": ((1, 3, 3, 3), 3),
        "FULLY_CONNECTED": ((4, 126), 0),
        "TRANSPOSE_CONV": ((4, 3, 3, 3), 0),
    }[code]
    b = TFLiteBuilder()
    x = b.input("x", SHAPE)
    w = b.constant("w", expanded(shape, axis, form)) if in_float else weight(b, shape, axis, form)
    channels = shape[axis]
    bias = b.constant("bias", np.linspace(-1, 1, channels).astype(np.float32))
    if code == "TRANSPOSE_CONV":
        size = b.constant("size", np.array([1, 9, 8, 4], np.int32))
        y = b.tensor("y", (1, 9, 8, 4))
        b.operator(code, [size, w, x], [y], version=2)
    else:
        y = b.tensor("y", (1, channels) if code == "FULLY_CONNECTED" else None)
        b.operator(code, [x, w, bias], [y])
    return b.build(outputs=[y])


CASES = [
    (code, form)
    for code in LAYERS
    for form in FORMS
    if form != "uint8" or code in ("CONV_2D", "FULLY_CONNECTED")
]


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of all cases."""
    return streamed_library({f"{c}_{f}": layer(c, f, in_float=False) for c, f in CASES})


@pytest.mark.parametrize(("code", "form"), CASES)
def test_the_network_is_that_of_the_expanded_weights(
    library: CLibrary, code: str, form: str
) -> None:
    data = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    (expected,) = run_litert_reference(layer(code, form, in_float=True), {"x": data})
    assert relative_difference(library.run(f"{code}_{form}", {"x": data})[0]["y"], expected) <= 1e-5


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            "int8",
            "the quantized weights of 1 operator on .* expanded .*dynamic-range",
        ),
        ("float16", "1 float16 constant is expanded to float32"),
    ],
)
def test_the_report_says_so(form: str, message: str) -> None:
    (note,) = dero_tvm.compile(layer("CONV_2D", form, in_float=False)).report.notes
    assert re.match(message, note)
