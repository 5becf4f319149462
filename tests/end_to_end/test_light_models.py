"""A published float32 network with shuffled channels, to C; benchmarks/light_models.py runs all."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import dero_tvm
from tests.models.light_models import light_model


@pytest.mark.slow
def test_shufflenet_equals_onnx_runtime() -> None:
    """Its channel shuffles, as matrices, have the most rows of all the light networks."""
    model = light_model("light_shufflenet")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (port,) = session.get_inputs()
    feed = {port.name: np.random.default_rng(0).normal(size=port.shape).astype("float32")}
    (expected,) = session.run(None, feed)
    (actual,) = dero_tvm.compile(model, dero="accumulate").run(feed, "host-c").values()
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
