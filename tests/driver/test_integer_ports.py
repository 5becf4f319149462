"""What is said of quantized networks whose real inputs or outputs are the peak."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from tests.models.tflite_builder import TFLiteBuilder

SCALE = {"scale": 0.02, "zero_point": 3}


def image_network(*, quantized: bool = True, wide: int = 3) -> bytes:
    """A real image, a convolution to a quarter of its pixels and `wide` channels, real results."""
    b = TFLiteBuilder()
    x = image = b.input("x", (1, 16, 16, 3))
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (wide, 3, 3, 3))
    dtype = "int8" if quantized else "float32"
    if quantized:
        image = b.tensor("q", (1, 16, 16, 3), "int8", **SCALE)
        b.operator("QUANTIZE", [x], [image])
    w = b.constant("w", weight.astype(dtype), **({"scale": 0.01} if quantized else {}))
    bias = b.constant(
        "b",
        np.zeros(wide, "int32" if quantized else dtype),
        **({"scale": 2e-4} if quantized else {}),
    )
    y = b.tensor("y", None, dtype, **(SCALE if quantized else {}))
    b.operator("CONV_2D", [image, w, bias], [y], stride_h=2, stride_w=2, padding="SAME")
    if quantized:
        out = b.tensor("out", None)
        b.operator("DEQUANTIZE", [y], [out])
        y = out
    return b.build(outputs=[y])


def note_of(model: bytes | Path, **options) -> str | None:
    found = [note for note in dero_tvm.compile(model, **options).report.notes if "integer" in note]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("dero", ["none", "overlap", "stream"])
def test_the_bytes_are_those_of_the_option(dero: str) -> None:
    note = note_of(image_network(), dero=dero)
    assert note is not None and note.startswith("the float32 input x is in the arena at the peak")
    size = int(re.search(r"it has ([\d,]+) bytes$", note)[1].replace(",", ""))
    integers = dero_tvm.compile(image_network(), dero=dero, integer_io=True)
    assert size == integers.report.arena_bytes


def test_an_output() -> None:
    note = note_of(image_network(wide=64), dero="stream")
    assert note is not None and "the float32 output out" in note


@pytest.mark.parametrize(
    "options",
    [{"integer_io": True}, {"external_io": True}, {"dero": "stream", "stream_input": True}],
)
def test_ends_that_are_no_such_tensors(options: dict) -> None:
    assert note_of(image_network(), **options) is None


def test_networks_that_are_float_have_no_integers() -> None:
    assert note_of(image_network(quantized=False)) is None
