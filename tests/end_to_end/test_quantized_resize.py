"""Resizing of integers, which some quantizers write without float operators: as ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

import dero_tvm
from tests.end_to_end.oracles import onnx_runtime
from tests.end_to_end.qdq_models import QDQModel


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_what_calculates_with_integers_is_no_move(dtype: str, mode: str) -> None:
    """A linear resize rounds the integers that it is given, and not those 128 lower."""
    middle = 128 if dtype == "uint8" else 0
    model = QDQModel()
    x = model.quantize(model.input("x", (1, 2, 4, 5)), 0.05, np.dtype(dtype).type(middle - 30))
    scales = model.constant(np.array([1, 1, 2, 2], np.float32))
    y = model.node("Resize", x, "", scales, mode=mode)
    y = model.dequantize(y, 0.05, np.dtype(dtype).type(middle - 30))
    onnx_model = model.build(y=(y, "float32"))
    x = (np.random.default_rng(0).standard_normal((1, 2, 4, 5)) * 3).astype("float32")
    (expected,) = onnx_runtime(onnx_model, [{"x": x}])
    np.testing.assert_array_equal(dero_tvm.compile(onnx_model).run({"x": x})["y"], expected["y"])
