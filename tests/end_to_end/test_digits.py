"""The bundled network, trained and quantized, on its whole test set."""

from __future__ import annotations

import numpy as np
import pytest

from examples.digits_accuracy import MODELS, compiled, differences, reference
from tests.end_to_end.oracles import relative_difference, skip_unless_runnable

WAYS = [("none", "host"), ("stream", "host-c")]


@pytest.mark.parametrize(("dero", "device"), WAYS, ids=str)
@pytest.mark.parametrize("name", ["digits_int8.onnx", "digits_float32.onnx"])
def test_logits_and_accuracy(name: str, dero: str, device: str) -> None:
    skip_unless_runnable(device)
    test = np.load(MODELS / "digits_test.npz")
    expected = reference(MODELS / name, test["images"])
    found = compiled(MODELS / name, test["images"], device, dero)
    assert np.mean(found.argmax(axis=1) == test["labels"]) >= 0.98
    if name == "digits_float32.onnx":
        assert relative_difference(found, expected) <= 1e-5
        return
    steps = differences(expected, found, MODELS / name)
    assert steps.max() <= 1
    assert np.mean(steps > 0) <= 0.03  # 0.0186 with ONNX Runtime 1.32
