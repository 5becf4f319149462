"""Attention in C, streamed and whole, beside PyTorch, ONNX Runtime and LiteRT."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import dero_tvm
from dero_tvm.frontends.load import load
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.end_to_end.oracles import litert, onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder
from tests.models.tiny_models import model_of

TOKENS, WIDTH, HEADS = 12, 16, 2
DEPTH = WIDTH // HEADS


def blocks(torch: Any) -> dict[str, Any]:
    """Attention over [1, TOKENS, WIDTH] in the ways in which PyTorch networks write it."""

    class Block(torch.nn.Module):
        def __init__(self, way: str) -> None:
            super().__init__()
            self.way = way
            self.norm = torch.nn.LayerNorm(WIDTH)
            self.qkv = torch.nn.Linear(WIDTH, 3 * WIDTH)
            self.out = torch.nn.Linear(WIDTH, WIDTH)
            self.whole = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
            self.bias = torch.nn.Parameter(torch.randn(1, HEADS, TOKENS, TOKENS))

        def forward(self, x: Any) -> Any:
            y = self.norm(x)
            if self.way == "multihead":
                return x + self.whole(y, y, y, need_weights=False)[0]
            parts = self.qkv(y).reshape(1, TOKENS, 3, HEADS, DEPTH).permute(2, 0, 3, 1, 4)
            q, k, v = parts.unbind(0)
            if self.way == "function":
                y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            elif self.way == "einsum":
                scores = torch.einsum("bhnd,bhmd->bhnm", q, k) / DEPTH**0.5
                y = torch.einsum("bhnm,bhmd->bhnd", scores.softmax(-1), v)
            else:
                scores = (q * DEPTH**-0.5) @ k.transpose(-2, -1) + self.bias
                y = scores.softmax(dim=-1) @ v
            return x + self.out(y.transpose(1, 2).reshape(1, TOKENS, WIDTH))

    return {way: Block(way).eval() for way in ("multihead", "function", "einsum", "biased")}


def test_pytorch_networks(tmp_path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    networks = FrameworkNetworks()
    x = torch.randn(1, TOKENS, WIDTH)
    for way, block in blocks(torch).items():
        loaded = load(torch.export.export(block, (x,)))
        compared = Network(loaded, partial(_pytorch, torch, block), 1e-5, x.numpy())
        called, _ = networks.add(way, compared)
        assert all(operator.startswith("dero.") for operator in called), (way, called)
        assert called.count("dero.matmul") == 2 and called.count("dero.dense") == 4, (way, called)
        moved = {"dero.transpose", "dero.slice", "dero.reshape"}
        assert not moved & set(called), (way, called)
    networks.check_outputs(tmp_path)


def _pytorch(torch: Any, block: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return block(torch.from_numpy(x)).numpy()


def quantized_attention() -> onnx.ModelProto:
    """ONNX in QDQ form; the result of every operator is int8."""
    rng = np.random.default_rng(5)
    model = QDQModel()

    def dense(data: str, scale: float) -> str:
        weight = model.constant(rng.integers(-127, 128, (WIDTH, WIDTH)).astype("int8"))
        weight = model.dequantize(weight, 0.004, np.int8(0))
        return model.rounded(model.node("MatMul", data, weight), scale, np.int8(-4))

    def heads(data: str, *order: int) -> str:
        shape = model.constant(np.array([1, TOKENS, HEADS, DEPTH]))
        data = model.rounded(model.node("Reshape", data, shape), 0.03, np.int8(-4))
        return model.rounded(model.node("Transpose", data, perm=order), 0.03, np.int8(-4))

    x = model.rounded(model.input("x", (1, TOKENS, WIDTH)), 0.02, np.int8(1))
    q, k, v = (dense(x, 0.03) for _ in range(3))
    q, k, v = heads(q, 0, 2, 1, 3), heads(k, 0, 2, 3, 1), heads(v, 0, 2, 1, 3)
    scores = model.rounded(model.node("MatMul", q, k), 0.05, np.int8(2))
    shares = model.rounded(model.node("Softmax", scores), 1 / 256, np.int8(-128))
    y = model.rounded(model.node("MatMul", shares, v), 0.02, np.int8(0))
    y = model.rounded(model.node("Transpose", y, perm=[0, 2, 1, 3]), 0.02, np.int8(0))
    shape = model.constant(np.array([1, TOKENS, WIDTH]))
    y = model.rounded(model.node("Reshape", y, shape), 0.02, np.int8(0))
    by_token = model.rounded(model.node("Transpose", scores, perm=[0, 2, 1, 3]), 0.05, np.int8(2))
    return model.build(scores=(by_token, "float32"), y=(dense(y, 0.03), "float32"))


def litert_attention() -> bytes:
    """Scores of two heads, and the values they weigh, as the TFLite converter writes them."""
    b = TFLiteBuilder()
    shape = (1, HEADS, TOKENS, DEPTH)
    x = b.input("x", shape, "int8", scale=0.02, zero_point=1)

    def made(name: str, of: tuple[int, ...], scale: float, zero: int) -> Any:
        return b.tensor(name, of, "int8", scale=scale, zero_point=zero)

    scores = made("scores", (1, HEADS, TOKENS, TOKENS), 0.05, 2)
    b.operator("BATCH_MATMUL", [x, x], [scores], adj_y=True)
    shares = made("shares", (1, HEADS, TOKENS, TOKENS), 1 / 256, -128)
    b.operator("SOFTMAX", [scores], [shares], beta=1.0)
    y = made("y", shape, 0.01, 3)
    b.operator("BATCH_MATMUL", [shares, x], [y])
    return b.build([y])


def einstein_sums() -> onnx.ModelProto:
    """ONNX, float32: scores and what they weigh as Einstein sums, tokens normalized by length."""
    model = QDQModel()
    x = model.input("x", (1, TOKENS, HEADS, DEPTH))
    unit = model.node("LpNormalization", x, axis=-1)
    scores = model.node("Einsum", unit, x, equation="bnhd,bmhd->bhnm")
    shares = model.node("Softmax", scores)
    return model.build(y=(model.node("Einsum", shares, x, equation="bhnm,bmhd->bnhd"), "float32"))


def test_einstein_sums(tmp_path) -> None:
    networks = FrameworkNetworks()
    model = einstein_sums()
    x = np.random.default_rng(7).standard_normal((1, TOKENS, HEADS, DEPTH)).astype("float32")
    reference = Network(
        load(model), lambda data: onnx_runtime(model, [{"x": data}])[0]["y"], 1e-5, x
    )
    called, _ = networks.add("einsum", reference)
    assert called.count("dero.matmul") == 2
    assert all(operator.startswith("dero.") for operator in called), called
    assert "dero.transpose" not in called, called
    networks.check_outputs(tmp_path)


def test_tflite_integers(tmp_path) -> None:
    networks = FrameworkNetworks()
    rng = np.random.default_rng(7)
    model = litert_attention()
    x = rng.integers(-128, 128, (1, HEADS, TOKENS, DEPTH)).astype("int8")
    compared = Network(load(model), lambda data: litert(model, [data])[0], 0.0, x)
    called, _ = networks.add("litert", compared)
    kernels = [operator for operator in called if operator != "dero.reshape"]
    assert kernels == ["dero.matmul", "dero.softmax", "dero.matmul"]
    networks.check_outputs(tmp_path)


def test_onnx_integers() -> None:
    """ONNX Runtime's integers up to a softmax, whose bits are LiteRT's."""
    model = quantized_attention()
    x = np.random.default_rng(7).standard_normal((1, TOKENS, WIDTH)).astype("float32")
    compiled = dero_tvm.compile(model, dero="stream", time_limit=0.3)
    operations = [o.signature for c in compiled.network.cascades for o in c.operations]
    names = [signature.short_name for signature in operations]
    assert names.count("matmul") == 2 and "transpose" not in names, names
    products = [s for s in operations if s.short_name in ("matmul", "softmax", "dense")]
    assert all(signature.output.dtype == "int8" for signature in products)
    expected = onnx_runtime(model, [{"x": x}])[0]
    found = compiled.run({"x": x})
    np.testing.assert_array_equal(found["scores"], expected["scores"])
    assert np.abs(found["y"] - expected["y"]).max() < 0.03 * 1.01  # one step


def test_a_constant_times_one_matrix_with_more_axes() -> None:
    nodes = [
        helper.make_node("MatMul", ["w", "x"], ["p"]),
        helper.make_node("LayerNormalization", ["p", "scale"], ["y"], axis=2),
    ]
    rng = np.random.default_rng(0)
    w, x, scale = (rng.normal(size=s).astype("float32") for s in ((5, 4), (1, 4, 3), (3,)))
    weights = {"w": w, "scale": scale}
    network = model_of(nodes, {"x": (1, 4, 3)}, {"y": (1, 5, 3)}, weights, opset=17)
    product = w @ x
    mean, spread = product.mean(2, keepdims=True), product.std(2, keepdims=True)
    (result,) = dero_tvm.compile(network).run({"x": x}).values()
    np.testing.assert_allclose(result, (product - mean) / spread * scale, rtol=1e-3, atol=1e-5)
