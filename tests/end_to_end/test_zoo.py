"""Published TFLite files as they come: LiteRT's bits from compiled C, or a reason by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from tests.end_to_end.oracles import litert, skip_unless_runnable, tflite_micro

SEEDS = range(2)
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
REFUSED = {
    "seanet_conv10": "of CONV_2D .* has the unsupported type int16, .* 16x8 quantization",
    "seanet_transpose_conv0": "of TRANSPOSE_CONV .* unsupported type int16",
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


@pytest.mark.parametrize("name", REFUSED)
def test_refusal(name: str, shared: Path) -> None:
    path = shared / "models" / "zoo" / f"{name}.tflite"
    with pytest.raises(dero_tvm.UserError, match=REFUSED[name]) as caught:
        dero_tvm.load(path)
    assert str(caught.value).startswith(str(path))


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
