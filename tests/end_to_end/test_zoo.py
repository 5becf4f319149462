"""Published TFLite files as they come: LiteRT's bits from compiled C."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from tests.end_to_end.oracles import litert, skip_unless_runnable, tflite_micro
from tests.models.tflite_builder import run_litert_reference

SEEDS = range(2)
INT16_LAYERS = {  # arena, and the shape of the result where it is an input
    "seanet_conv10": (5_248, None),
    "seanet_transpose_conv0": (5_248, (1, 3, 12, 64)),
}
COMPILED = {
    # Its biases have scales along an axis that they do not have, which LiteRT refuses.
    "person_detect": (tflite_micro, 14_592),
    "fomo_face_detection": (litert, 30_720),
    "keyword_spotting_on_off_v3": (litert, 10_272),
    "mobilenet_v1_0.25_128_quant": (litert, 49_664),
    "yolo_lc_192": (litert, 113_280),
    "trained_lstm_int8": (tflite_micro, 1_464),
    "vad": (litert, 1_792),
    # Its states are int8, with which LiteRT ends the process.
    "keyword_scrambled_8bit": (tflite_micro, 5_408),
}


@pytest.mark.parametrize("name", COMPILED)
def test_bits(name: str, shared: Path) -> None:
    skip_unless_runnable("host-c")
    path = shared / "models" / "zoo" / f"{name}.tflite"
    reference, arena = COMPILED[name]
    model = dero_tvm.compile(path, dero="stream", time_limit=5.0)
    assert model.report.arena_bytes <= arena
    (port,) = model.archive.inputs
    inputs = list(_inputs(port.shape, port.dtype))
    outputs = model.run([{port.name: values} for values in inputs], "host-c")
    for output, expected in zip(outputs, reference(path.read_bytes(), inputs), strict=True):
        np.testing.assert_array_equal(next(iter(output.values())), expected)


def _inputs(shape: tuple[int, ...], dtype: str) -> Iterator[np.ndarray]:
    for seed in SEEDS:
        values = np.random.default_rng(seed).integers(0, 256, shape)
        yield values.astype(dtype) if dtype == "uint8" else (values - 128).astype(dtype)


@pytest.mark.parametrize("name", INT16_LAYERS)
def test_bits_of_int16_activations(name: str, shared: Path) -> None:
    skip_unless_runnable("host-c")
    path = shared / "models" / "zoo" / f"{name}.tflite"
    arena, given = INT16_LAYERS[name]
    model = dero_tvm.compile(path, dero="stream", time_limit=5.0)
    assert model.report.arena_bytes <= arena
    feeds = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        (port,) = (p for p in model.archive.inputs if p.dtype == "int16")
        values = rng.integers(-(1 << 15), 1 << 15, port.shape).astype("int16")
        others = {p.name: np.array(given, p.dtype) for p in model.archive.inputs if p is not port}
        feeds.append({port.name: values, **others})
    for output, feed in zip(model.run(feeds, "host-c"), feeds, strict=True):
        (expected,) = run_litert_reference(path.read_bytes(), feed)
        np.testing.assert_array_equal(next(iter(output.values())), expected)


def test_parts_of_a_network_that_remembers(shared: Path) -> None:
    skip_unless_runnable("host-c")
    path = shared / "models" / "zoo" / "vad.tflite"
    middle = "model/activation/Relu;model/stream/conv2d/Conv2D"
    whole, head, tail = (
        dero_tvm.compile(path, dero="stream", **cut)
        for cut in ({}, {"outputs": middle}, {"inputs": middle})
    )
    (port,) = whole.archive.inputs
    inputs = list(_inputs(port.shape, port.dtype)) * 2
    expected = whole.run([{port.name: values} for values in inputs], "host-c")
    between = head.run([{port.name: values} for values in inputs], "host-c")
    (given,) = tail.archive.inputs
    found = tail.run([{given.name: next(iter(b.values()))} for b in between], "host-c")
    for output, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(next(iter(output.values())), next(iter(wanted.values())))
