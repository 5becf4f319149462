"""Channels to blocks of pixels: the kernel against NumPy, networks in C against frameworks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec, operator_of
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel, random_array
from tests.end_to_end.oracles import litert, onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder
from tests.random_cases import cases


@given(
    st.integers(1, 2),
    st.tuples(*[st.integers(1, 4)] * 3),
    st.integers(1, 3),
    st.sampled_from(["DCR", "CRD"]),
    st.sampled_from(["float32", "int8"]),
    st.integers(0, 2),
    st.integers(0, 2),
)
@cases(25)
def test_rows(batch, image, block, order, dtype, gap, out_gap) -> None:
    height, width, channels = image
    shape = (batch, height, width, channels * block**2)
    array = random_array(np.random.default_rng(channels), shape, dtype)
    if order == "DCR":
        parts = array.reshape(batch, height, width, block, block, channels)
        moved = parts.transpose(0, 1, 3, 2, 4, 5)
    else:
        parts = array.reshape(batch, height, width, channels, block, block)
        moved = parts.transpose(0, 1, 4, 2, 5, 3)
    expected = moved.reshape(batch, height * block, width * block, channels)
    kernel = check_kernel("depth_to_space", [array], expected, gaps=[gap], out_gap=out_gap,
                          in_place=(), block_size=block, order=order)  # fmt: skip
    for row in range(batch * height * block):
        needed = kernel.operator.needed_rows(kernel.signature, 0, row)
        assert needed == (row // block, row // block + 1)


@pytest.mark.parametrize(
    ("shape", "dtype", "attrs", "message"),
    [
        ((1, 2, 2, 6), "int8", {"block_size": 2}, "6 channels do not fill blocks of 2 x 2"),
        ((1, 2, 2, 4), "int8", {"block_size": 2, "order": "RCD"}, "order must be one of"),
        ((2, 2, 4), "int8", {"block_size": 2}, "takes NHWC data"),
        ((1, 2, 2, 4), "int32", {"block_size": 2}, "float32, int8 or int16"),
    ],
)
def test_refusals(shape, dtype, attrs, message) -> None:
    operator = operator_of("dero.depth_to_space")
    with pytest.raises(ValueError, match=message):
        operator.infer((TensorSpec(shape, dtype),), {**operator.defaults, **attrs})


def onnx_float(order: str) -> Network:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 2, 12, 10)).astype("float32")
    model = QDQModel()

    def conv(data: str, filters: int, channels: int) -> str:
        weight = rng.standard_normal((filters, channels, 3, 3)).astype("float32") / 8
        return model.node("Conv", data, model.constant(weight), pads=[1, 1, 1, 1])

    data = model.node("Relu", conv(model.input("x", x.shape), 16, 2))
    data = conv(model.node("DepthToSpace", data, blocksize=2, mode=order), 1, 4)
    proto = model.build(y=(data, "float32"))
    return Network(load(proto), lambda x: onnx_runtime(proto, [{"x": x}])[0]["y"], 1e-5, x)


def onnx_integers(order: str, dtype: str) -> Network:
    """Between operators that move integers, so that ONNX Runtime's are the bits."""
    zero = np.dtype(dtype).type(3 if dtype == "int8" else 131)
    x = (np.random.default_rng(1).standard_normal((1, 8, 12, 10)) * 3).astype("float32")
    model = QDQModel()
    data = model.rounded(model.input("x", x.shape), 0.05, zero)
    data = model.rounded(model.node("MaxPool", data, kernel_shape=[3, 3]), 0.05, zero)
    data = model.node("DepthToSpace", data, blocksize=2, mode=order)
    data = model.node("MaxPool", model.rounded(data, 0.05, zero), kernel_shape=[2, 2])
    proto = model.build(y=(model.rounded(data, 0.05, zero), "float32"))
    return Network(load(proto), lambda x: onnx_runtime(proto, [{"x": x}])[0]["y"], 0.0, x)


def tflite(dtype: str) -> Network:
    """Between convolutions in int8, else between poolings."""
    rng = np.random.default_rng(2)
    own: dict[str, Any] = {"scale": 0.05, "zero_point": 3 if dtype == "int8" else 131}
    own = {} if dtype == "float32" else own
    b = TFLiteBuilder()
    window = {"stride_h": 1, "stride_w": 1, "padding": "VALID"}

    shape = (1, 12, 10, 2) if dtype == "int8" else (1, 12, 10, 8)

    def filtered(data: int, filters: int, channels: int) -> int:
        out = b.tensor("", None, dtype, **own)
        if dtype == "int8":
            values = rng.integers(-127, 128, (filters, 3, 3, channels))
            weight = b.constant("", values, "int8", scale=0.01)
            bias = b.constant("", rng.integers(-99, 99, filters), "int32", scale=0.0005)
            b.operator("CONV_2D", [data, weight, bias], [out], **window)
        else:
            size = {"filter_height": 2, "filter_width": 2}
            b.operator("MAX_POOL_2D", [data], [out], **size, **window)
        return out

    data = b.input("x", shape, dtype, **own)
    block = b.tensor("block", None, dtype, **own)
    b.operator("DEPTH_TO_SPACE", [filtered(data, 16, 2)], [block], block_size=2)
    model = b.build([filtered(block, 1, 4)])
    x = rng.standard_normal(shape).astype("float32")
    if dtype != "float32":
        x = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)
    return Network(load(model), lambda x: litert(model, [x])[0], 0.0, x)


def pytorch() -> Network:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(2, 18, 3, padding=1), torch.nn.PixelShuffle(3)]
    module = torch.nn.Sequential(*layers, torch.nn.Conv2d(2, 1, 3)).eval()
    x = torch.randn(1, 2, 12, 10)
    program = torch.export.export(module, (x,))
    expected = lambda x: module(torch.from_numpy(x)).detach().numpy()  # noqa: E731
    return Network(load(program), expected, 1e-5, x.numpy())


NETWORKS: dict[str, Callable[[], Network]] = {
    "onnx_dcr": lambda: onnx_float("DCR"),
    "onnx_crd": lambda: onnx_float("CRD"),
    "onnx_dcr_int8": lambda: onnx_integers("DCR", "int8"),
    "onnx_crd_uint8": lambda: onnx_integers("CRD", "uint8"),
    "tflite_float32": lambda: tflite("float32"),
    "tflite_int8": lambda: tflite("int8"),
    "tflite_uint8": lambda: tflite("uint8"),
    "pytorch": pytorch,
}
CONVOLUTIONAL = ("onnx_dcr", "onnx_crd", "tflite_int8", "pytorch")


def test_networks_in_c(tmp_path) -> None:
    """Streamed and whole, the bits of the framework for integers; nothing is transposed whole."""
    networks = FrameworkNetworks()
    for name, build in NETWORKS.items():
        network = build()
        called, streamed = networks.add(name, network)
        assert "dero.depth_to_space" in called, (name, called)
        assert called.count("dero.transpose") <= 2, (name, called)  # of input and result
        # between poolings of what lies whole anyway, streaming would save nothing
        assert name not in CONVOLUTIONAL or "dero.depth_to_space" in streamed, name
    networks.check_outputs(tmp_path)
