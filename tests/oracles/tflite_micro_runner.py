"""TensorFlow Lite Micro's answer to a small model, where its Python package is installed.

Where LiteRT and TensorFlow Lite Micro differ, a microcontroller's user compares with the latter.
The package is `tflite-micro` (its releases are all marked as previews).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest


def run_tflite_micro(model: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """All outputs of `model`; `inputs` are in the model's order.  Skips without the package."""
    runtime = pytest.importorskip("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    for index, value in enumerate(inputs):
        interpreter.set_input(value, index)
    interpreter.invoke()
    tflite = pytest.importorskip("tflite")
    count = tflite.Model.GetRootAs(model, 0).Subgraphs(0).OutputsLength()
    return [np.array(interpreter.get_output(index)) for index in range(count)]
