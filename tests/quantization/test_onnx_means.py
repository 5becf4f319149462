"""Averages that are added are merged before a network is quantized."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

import dero_tvm
from dero_tvm.driver.prepare import prepare
from dero_tvm.quantization.onnx_means import merge_means
from relax_passes.ir.decisions import decisions

TWO_MEANS = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[1,4,6,6] x, float[1,4,6,6] z) => (float[1,4] y)
<int64[2] axes = {2, 3}, int64[2] same = {2, 3}, int64[2] other = {3, 2}, int64[1] rows = {2}> {
  a = Relu(x)
  b = Neg(z)
  p = ReduceMean<keepdims = 0>(a, axes)
  q = ReduceMean<keepdims = 0>(b, same)
  y = Add(p, q)
}
"""


def model(text: str) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def test_the_mean_of_the_sum() -> None:
    before, after = model(TWO_MEANS), model(TWO_MEANS)
    merge_means(after.graph)
    assert operators(after) == ["Relu", "Neg", "Add", "ReduceMean"]
    onnx.checker.check_model(after, full_check=True)
    rng = np.random.default_rng(0)
    feed = {name: rng.standard_normal((1, 4, 6, 6)).astype(np.float32) for name in "xz"}
    (expected,), (found,) = (ReferenceEvaluator(m).run(None, feed) for m in (before, after))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_global_pooling_counts_too() -> None:
    text = TWO_MEANS.replace("ReduceMean<keepdims = 0>(a, axes)", "GlobalAveragePool(a)")
    text = text.replace("ReduceMean<keepdims = 0>(b, same)", "GlobalAveragePool(b)")
    proto = model(text.replace("float[1,4] y", "float[1,4,1,1] y"))
    merge_means(proto.graph)
    assert operators(proto) == ["Relu", "Neg", "Add", "GlobalAveragePool"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("(float[1,4] y)", "(float[1,4] y, float[1,4] q)", id="also a result"),
        pytest.param("(b, same)", "(b, other)", id="other axes"),
        pytest.param("0>(b, same)", "1>(b, same)", id="other shape of the mean"),
        pytest.param("ReduceMean<keepdims = 0>(b", "ReduceMax<keepdims = 0>(b", id="no mean"),
        pytest.param("Add(p, q)", "Add(p, p)", id="one mean twice"),
        pytest.param("Add(p, q)", "Mul(p, q)", id="no sum"),
        pytest.param("float[1,4,6,6] z", "float[1,4,3,3] z", id="other size"),
    ],
)
def test_left_alone(old: str, new: str) -> None:
    assert old in TWO_MEANS
    proto = model(TWO_MEANS.replace(old, new))
    before = operators(proto)
    merge_means(proto.graph)
    assert operators(proto) == before


def test_the_last_shortcut_of_a_reorganized_network_is_fused() -> None:
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    weight = ", ".join(f"{value:.3f}" for value in rng.standard_normal(4 * 4 * 9) / 6)
    text = TWO_MEANS.replace("a = Relu(x)", "c = Conv<pads = [1, 1, 1, 1]>(x, w)\n a = Relu(c)")
    text = text.replace(", float[1,4,6,6] z", "").replace("b = Neg(z)", "").replace("(b,", "(x,")
    text = text.replace("<int64[2] axes", f"<float[4,4,3,3] w = {{{weight}}}, int64[2] axes")
    images = rng.standard_normal((8, 1, 4, 6, 6)).astype(np.float32)
    quantized = dero_tvm.quantize(model(text), {"x": images}).model
    (decision,) = decisions(prepare(quantized).canonical)
    assert (decision.pass_name, decision.action) == ("FuseShortcuts", "fused")
