"""Shortcuts around a stem are quantized as depthwise convolutions that compute the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import dero_tvm
from dero_tvm.quantization.chain_convolutions import convolve_chains
from dero_tvm.quantization.linear_nodes import linear_nodes

CHANNELS = 8
STEM = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[1,3,24,24] x) => (float[1,8,6,6] y)
<int64[8] amounts = {0, 0, 0, 0, 0, 5, 0, 0}, float many = {49.0}, float few = {9.0}> {
  c = Conv<strides = [2, 2], pads = [3, 3, 3, 3]>(x, weight)
  r = Relu(c)
  m = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(r)
  p = AveragePool<kernel_shape = [7, 7], strides = [2, 2], pads = [3, 3, 3, 3], WIDE>(x)
  q = Mul(p, many)
  z = Pad(q, amounts)
  n = BatchNormalization(z, scale0, shift0, mean0, var0)
  s = AveragePool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], WIDE>(n)
  t = Mul(few, s)
  b = BatchNormalization(t, scale1, shift1, mean1, var1)
  y = Add(m, b)
}
""".replace("WIDE", "count_include_pad = 1")


def stem(text: str = STEM) -> onnx.ModelProto:
    """A stem with norms as training leaves them: the appended channels hardly vary."""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(text)
    arrays = {"weight": rng.standard_normal((CHANNELS, 3, 7, 7)) / 12}
    for index, variance in ((0, 400.0), (1, 60.0)):
        arrays[f"scale{index}"] = rng.uniform(0.4, 0.8, CHANNELS)
        arrays[f"shift{index}"] = rng.uniform(-0.2, 0.2, CHANNELS)
        arrays[f"mean{index}"] = np.zeros(CHANNELS)
        arrays[f"var{index}"] = np.full(CHANNELS, variance)
        arrays[f"var{index}"][3:] = 0.01 * index
    arrays["mean1"][3:] = 9 * arrays["shift0"][3:]
    for name, values in arrays.items():
        proto.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    for node in proto.graph.node:
        node.name = node.output[0]
    return onnx.shape_inference.infer_shapes(proto)


def images(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, 3, 24, 24)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize(
    ("old", "new", "operators"),
    [
        pytest.param("", "", "Conv Pad Conv", id="as it is"),
        pytest.param(
            "b = BatchNormalization(t, scale1, shift1, mean1, var1)",
            "b = Identity(t)",
            "AveragePool Mul Pad Conv AveragePool Mul Identity",
            id="one norm, and an operator that is none of these",
        ),
        pytest.param(
            "b = BatchNormalization(t, scale1, shift1, mean1, var1)\n  y = Add(m, b)",
            "y = Add(m, t)",
            "Conv Pad Conv",
            id="one norm",
        ),
        pytest.param("z = Pad(q, amounts)", "z = Concat<axis = 1>(q, q, q2)", "", id="no zeros"),
    ],
)
def test_equal_in_float(old: str, new: str, operators: str) -> None:
    text = STEM.replace(old, new)
    if "q2" in text:
        text = text.replace("  z =", "  q2 = Slice(q, zero, two, one)\n  z =").replace(
            "float many", "int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, float many"
        )
    before, after = stem(text), stem(text)
    convolve_chains(after.graph)
    main = {"c", "r", "m", "y"}
    chain = [node.op_type for node in after.graph.node if node.output[0] not in main]
    assert not operators or " ".join(chain) == operators
    assert "BatchNormalization" not in chain
    assert linear_nodes(after.graph) == []
    onnx.checker.check_model(after, full_check=True)
    (feed,) = images(1)
    (expected,), (found,) = (ReferenceEvaluator(m).run(None, feed) for m in (before, after))
    assert np.abs(found - expected).max() <= 2e-3 * np.ptp(expected)


def test_little_is_lost_by_rounding() -> None:
    pytest.importorskip("onnxruntime")
    model = stem()
    feeds = images(4)
    quantized = dero_tvm.quantize(model, feeds).model
    assert "BatchNormalization" not in {node.op_type for node in quantized.graph.node}
    compiled = dero_tvm.compile(quantized, dero="none")
    reference = ReferenceEvaluator(model)
    for feed, found in zip(feeds, compiled.run(feeds)):
        (expected,) = reference.run(None, feed)
        assert np.abs(found["y"] - expected).max() <= 0.03 * np.ptp(expected)
