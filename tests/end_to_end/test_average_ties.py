"""Averages that lie halfway between two int8 values: rounded to even, as ONNX Runtime does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dero_tvm
from tests.compiled_c import run_in_c
from tests.end_to_end.oracles import onnx_runtime

SHAPE = (1, 8, 16, 16)
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def average_of(dtype: str, scale: float, zero_points: tuple[int, int], **window) -> onnx.ModelProto:
    """DequantizeLinear, 2x2 AveragePool, QuantizeLinear, of one scale."""
    constants = [
        numpy_helper.from_array(np.float32(scale), "scale"),
        *(
            numpy_helper.from_array(np.array(zero, dtype), name)
            for name, zero in zip(("zero_in", "zero_out"), zero_points)
        ),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero_in"], ["real"]),
        helper.make_node("AveragePool", ["real"], ["average"], kernel_shape=[2, 2], **window),
        helper.make_node("QuantizeLinear", ["average", "scale", "zero_out"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "average",
        [helper.make_tensor_value_info("x", TYPES[dtype], SHAPE)],
        [helper.make_tensor_value_info("y", TYPES[dtype], None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("window", [{"strides": [2, 2]}, {"pads": [1, 0, 1, 1]}], ids=str)
@pytest.mark.parametrize("zero_points", [(7, 7), (7, -4)], ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_ties_go_to_even(dtype: str, zero_points: tuple[int, int], window: dict) -> None:
    offset = 128 if dtype == "uint8" else 0
    zero_in, zero_out = (zero + offset for zero in zero_points)
    # With a power of two for a scale, ONNX Runtime's float32 arithmetic is exact.
    model = average_of(dtype, 0.25, (zero_in, zero_out), **window)
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    data = rng.integers(limits.min, limits.max + 1, SHAPE).astype(dtype)
    (expected,) = onnx_runtime(model, [{"x": data}])
    (output,) = run_in_c(dero_tvm.load(model), [data])
    np.testing.assert_array_equal(output, expected["y"])
    if "strides" in window:
        halves = data.reshape(1, 8, 8, 2, 8, 2).sum(axis=(3, 5), dtype=np.int32) % 4 == 2
        assert halves.mean() > 0.2
