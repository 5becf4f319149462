"""Whole TFLite models: float, other batch sizes, and real networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm.frontends import ModelPort, load
from tests.compiled.compiled_c import run_in_c
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference


def float_network() -> TFLiteBuilder:
    """Convolution, residual, pooling, flattening by constant shape, dense, softmax."""
    rng = np.random.default_rng(2)
    b = TFLiteBuilder()

    def weight(name: str, *shape: int) -> int:
        return b.constant(name, rng.standard_normal(shape).astype("float32") / 5)

    x = b.input("image:0", (1, 9, 8, 3), "float32", shape_signature=(-1, 9, 8, 3))
    c1, c2, total, pooled, flat, logits, y = (
        b.tensor(name, None) for name in ("c1", "c2", "total", "pooled", "flat", "logits", "y")
    )
    same = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
    relu = {"fused_activation_function": "RELU6"}
    b.operator("CONV_2D", [x, weight("w1", 4, 3, 3, 3), weight("b1", 4)], [c1], **same, **relu)
    b.operator("DEPTHWISE_CONV_2D", [c1, weight("w2", 1, 3, 3, 4), weight("b2", 4)], [c2], **same)
    b.operator("ADD", [c1, c2], [total], fused_activation_function="RELU")
    b.operator(
        "AVERAGE_POOL_2D",
        [total],
        [pooled],
        filter_width=2,
        filter_height=3,
        stride_w=2,
        stride_h=3,
    )
    b.operator("RESHAPE", [pooled, b.constant("target", [-1, 48], "int32")], [flat])
    b.operator("FULLY_CONNECTED", [flat, weight("w3", 5, 48), weight("b3", 5)], [logits])
    b.operator("SOFTMAX", [logits], [y])
    b.operator("CONCATENATION", [y, logits], [b.tensor("out", None)], axis=1)
    return b


@pytest.mark.parametrize("empty_buffer", [False, True])
def test_float_network(empty_buffer: bool) -> None:
    """Also as some converters write it, with an empty buffer for the tensors that are computed."""
    builder = float_network()
    builder.empty_buffer = empty_buffer
    names = [tensor.name for tensor in builder._tensors]
    model = builder.build([names.index("out")])
    loaded = load(model)
    assert loaded.format == "tflite"
    assert loaded.inputs == (ModelPort("image:0", (1, 9, 8, 3), "float32"),)
    assert loaded.outputs == (ModelPort("out", (1, 10), "float32"),)
    x = np.random.default_rng(0).standard_normal((1, 9, 8, 3)).astype("float32")
    (expected,) = run_litert_reference(model, {"image:0": x})
    np.testing.assert_allclose(run_in_c(loaded, [x])[0], expected, rtol=1e-5, atol=1e-6)


def matrix_product(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (1, 2, 3, 4), "float32")
    w = b.constant("w", rng.standard_normal((5, 2, 6, 4)).astype("float32"))
    y = b.tensor("y", None, "float32")
    b.operator("BATCH_MATMUL", [x, w], [y], adj_y=True)
    z = b.tensor("z", None, "float32")
    b.operator("BATCH_MATMUL", [b.constant("v", np.ones((7, 3), "float32")), y], [z])
    return [z]


def gathered(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (1, 2, 3, 4), "float32")
    indices = b.constant("i", [[0, 1, 2], [0, 0, 1]], "int32")
    y = b.tensor("y", None, "float32")
    b.operator("GATHER_ND", [x, indices], [y])
    return [y]


def computed_size(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """Twice the size of the image, by way of floating point, as tools write it."""
    x = b.input("x", (1, 2, 3, 4), "float32", shape_signature=(-1, 2, 3, 4))
    kinds = {"shape": "int32", "real": "float32", "grown": "float32", "floor": "float32"}
    shape, real, grown, floor = (b.tensor(name, (4,), kind) for name, kind in kinds.items())
    whole, size = b.tensor("whole", (4,), "int32"), b.tensor("size", (2,), "int32")
    b.operator("SHAPE", [x], [shape], out_type=2)
    b.operator("CAST", [shape], [real], in_data_type="INT32", out_data_type="FLOAT32")
    b.operator("MUL", [real, b.constant("two", 2.0, "float32")], [grown])
    b.operator("FLOOR", [grown], [floor])
    b.operator("CAST", [floor], [whole], in_data_type="FLOAT32", out_data_type="INT32")
    bounds = [b.constant(name, [n], "int32") for name, n in (("begin", 1), ("length", 2))]
    b.operator("SLICE", [whole, *bounds], [size])
    y = b.tensor("y", (1, 4, 6, 4), "float32")
    b.operator("RESIZE_NEAREST_NEIGHBOR", [x, size], [y])
    return [y]


@pytest.mark.parametrize("build", [matrix_product, gathered, computed_size])
def test_float_operators(build: Callable[..., list[int]]) -> None:
    rng = np.random.default_rng(3)
    builder = TFLiteBuilder()
    model = builder.build(build(builder, rng))
    x = rng.standard_normal((1, 2, 3, 4)).astype("float32")
    (expected,) = run_litert_reference(model, {"x": x})
    (computed,) = dero_tvm.compile(model, time_limit=1.0).run({"x": x}).values()
    assert computed.shape == expected.shape
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


def test_other_batch_size() -> None:
    """The shapes inside the file are those of batch 1."""
    builder = float_network()
    names = [tensor.name for tensor in builder._tensors]
    model = builder.build([names.index("out")])
    loaded = load(model, input_shapes={"image:0": (3, 9, 8, 3)})
    assert loaded.outputs == (ModelPort("out", (3, 10), "float32"),)
    x = np.random.default_rng(0).standard_normal((3, 9, 8, 3)).astype("float32")
    (computed,) = run_in_c(loaded, [x])
    for index in range(3):
        (expected,) = run_litert_reference(model, {"image:0": x[index : index + 1]})
        np.testing.assert_allclose(computed[index], expected[0], rtol=1e-5, atol=1e-6)


# The model's stem, its golden file, and the largest difference that float arithmetic between the
# quantized tensors may leave at the output.
REAL = [
    ("mlperf_tiny/pretrainedResnet_quant", "resnet8", 8),
    ("mlperf_tiny/kws_ref_model", "kws", 2),
    ("mlperf_tiny/ad01_int8", "ad", 2),
    ("mlperf_tiny/str_ww_ref_model", "str_ww", 2),
]


@pytest.mark.parametrize(("stem", "golden", "tolerance"), REAL, ids=[row[1] for row in REAL])
def test_real_int8_model(shared: Path, stem: str, golden: str, tolerance: int) -> None:
    loaded = load(shared / "models" / f"{stem}.tflite")
    values = np.load(shared / "golden" / f"{golden}.npz")
    data = values["input_q_seed0"].reshape(loaded.inputs[0].shape)
    (computed,) = run_in_c(loaded, [data])
    expected = values["output0_seed0"].reshape(loaded.outputs[0].shape)
    assert computed.dtype == np.int8
    assert np.abs(computed.astype(int) - expected.astype(int)).max() <= tolerance


def test_mcunet_imports(shared: Path) -> None:
    """Has the quantized PAD and TRANSPOSE that TVM's importer refuses, between float ends."""
    loaded = load(shared / "models" / "tinyengine" / "vww.tflite")
    assert loaded.name == "vww"
    assert loaded.inputs == (ModelPort("input_0_f.1", (1, 80, 80, 3), "float32"),)
    assert loaded.outputs == (ModelPort("1422", (1, 2), "float32"),)


@pytest.mark.parametrize("dtype", ["int16", "int32", "bool"])
def test_an_input_that_nothing_reads(dtype: str) -> None:
    builder = TFLiteBuilder()
    x, _ = builder.input("x", (1, 4)), builder.input("unread", (1, 4), dtype)
    y = builder.tensor("y", (1, 4))
    builder.operator("RELU", [x], [y])
    assert [port.dtype for port in load(builder.build([y])).inputs] == ["float32", dtype]
