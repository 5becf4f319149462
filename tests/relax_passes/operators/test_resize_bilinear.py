"""Bilinear resizing: rows against ONNX Runtime, networks in C against frameworks.

Rows of LiteRT's int8 are in `test_litert_int8`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec, operator_of
from relax_passes.operators.resize_bilinear import axes
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel, random_array
from tests.end_to_end.oracles import litert, onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder
from tests.random_cases import cases

COORDINATES = ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")
sizes = st.tuples(st.integers(1, 7), st.integers(1, 7))


@given(sizes, st.integers(1, 3), st.data(), st.sampled_from(COORDINATES), st.integers(0, 2))
@cases(30)
def test_float_rows(image, channels, data, coordinates, gap) -> None:
    """To any size, and by any scale, also of results that are no whole number of pixels."""
    rng = np.random.default_rng(channels)
    array = random_array(rng, (1, *image, channels), "float32")
    scale = None
    model = QDQModel()
    x = model.input("x", (1, channels, *image))
    if coordinates != "align_corners" and data.draw(st.booleans()):
        hundredths = [data.draw(st.integers(-(-100 // length), 350)) for length in image]
        scales = [np.float32(n / 100) for n in hundredths]
        size = tuple(int(s * n) for s, n in zip(scales, image))
        scale = tuple(1 / float(s) for s in scales)
        operands = [x, "", model.constant(np.array([1, 1, *scales], "float32"))]
    else:
        size = (data.draw(st.integers(1, 15)), data.draw(st.integers(1, 15)))
        operands = [x, "", "", model.constant(np.array([1, channels, *size], "int64"))]
    y = model.node("Resize", *operands, mode="linear", coordinate_transformation_mode=coordinates)
    proto = model.build(y=(y, "float32"))
    first = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    expected = onnx_runtime(proto, [{"x": first}])[0]["y"].transpose(0, 2, 3, 1)
    check_kernel("resize_bilinear", [array], expected, gaps=[gap], out_gap=gap, rtol=1e-5,
                 in_place=(), size=size, scale=scale, coordinates=coordinates)  # fmt: skip


@given(
    sizes, st.tuples(st.integers(1, 15), st.integers(1, 15)), st.sampled_from(COORDINATES),
    st.sampled_from([None, 0.37, 2.9]), st.sampled_from(["double", "even"]), st.integers(0, 2**32),
)  # fmt: skip
@cases(25)
def test_int8_rows(image, size, coordinates, factor, rounding, seed) -> None:
    """The exact sum, rounded once; ties as the rounding says."""
    rng = np.random.default_rng(seed)
    array = random_array(rng, (2, *image, 3), "int8")
    zero, out_zero = (int(n) for n in rng.integers(-128, 128, 2))
    attrs: dict[str, Any] = {"size": size, "coordinates": coordinates, "scale": None}
    sums = (array.astype(np.int64) - zero).astype(object)
    total = 1
    for axis, along in zip(axes(image, attrs), (1, 2)):
        places = [axis.place(i) for i in range(size[along - 1])]
        pairs = [axis.neighbours(place) for place in places]
        after = [place - axis.one * first for place, (first, _) in zip(places, pairs)]
        shape = (-1, *[1] * (3 - along))
        later = np.array(after, object).reshape(shape)
        sums = np.take(sums, [p[0] for p in pairs], along) * (axis.one - later) + (
            np.take(sums, [p[1] for p in pairs], along) * later
        )
        total *= axis.one
    if factor is not None:
        multiplier, shift = 1518500250, int(np.floor(np.log2(factor / total)))
        attrs |= {"multiplier": multiplier, "shift": shift}
        scaled, by = sums * multiplier, 2 ** (31 - shift)
        rounding = "even"
    else:
        scaled, by = sums, total
    down = scaled // by
    rest = 2 * (scaled - down * by)
    up = (rest > by) | ((rest == by) & ((down % 2 == 1) | (rounding == "double")))
    expected = np.clip((down + up).astype(np.int64) + out_zero, -120, 127).astype("int8")
    check_kernel("resize_bilinear", [array], expected, in_place=(), arithmetic="exact",
                 input_zero_point=zero, output_zero_point=out_zero, rounding=rounding,
                 minimum=-120, **attrs)  # fmt: skip


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"coordinates": "cubic"}, "coordinates must be one of"),
        ({"arithmetic": "float"}, "arithmetic must be one of"),
        ({"scale": (0.0, 1.0)}, "scales must be positive"),
        ({"size": (4093, 4091), "arithmetic": "exact"}, "do not fit 32 bits"),
    ],
)
def test_refusals(attrs, message) -> None:
    operator = operator_of("dero.resize_bilinear")
    spec = TensorSpec((1, 7, 11, 1), "int8")
    with pytest.raises(ValueError, match=message):
        operator.infer((spec,), {**operator.defaults, "size": (4, 4), **attrs})


def onnx_float(coordinates: str, **by: Any) -> Network:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 2, 12, 10)).astype("float32")
    model = QDQModel()

    def conv(data: str, filters: int, channels: int) -> str:
        weight = rng.standard_normal((filters, channels, 3, 3)).astype("float32") / 8
        return model.node("Conv", data, model.constant(weight), pads=[1, 1, 1, 1])

    data = conv(model.input("x", x.shape), 4, 2)
    operands = [model.constant(np.asarray(by[name])) if name in by else "" for name in ("s", "n")]
    data = model.node("Resize", data, "", *operands, mode="linear",
                      coordinate_transformation_mode=coordinates)  # fmt: skip
    proto = model.build(y=(conv(model.node("Relu", data), 1, 4), "float32"))
    return Network(load(proto), lambda x: onnx_runtime(proto, [{"x": x}])[0]["y"], 1e-5, x)


def onnx_integers(dtype: str, size: tuple[int, int], out_scale: float) -> Network:
    """Sizes with which no sum is a tie, or another scale for the result."""
    middle = 0 if dtype == "int8" else 128
    kind = np.dtype(dtype).type
    x = (np.random.default_rng(1).standard_normal((1, 4, 6, 5)) * 3).astype("float32")
    model = QDQModel()
    data = model.rounded(model.input("x", x.shape), 0.0531, kind(middle - 7))
    of = model.constant(np.array([1, 4, *size], np.int64))
    data = model.node("Resize", data, "", "", of, mode="linear")
    data = model.rounded(data, out_scale, kind(middle + 5 if out_scale != 0.0531 else middle - 7))
    proto = model.build(y=(data, "float32"))
    return Network(load(proto), lambda x: onnx_runtime(proto, [{"x": x}])[0]["y"], 0.0, x)


def tflite(dtype: str, size: tuple[int, int], **options: bool) -> Network:
    rng = np.random.default_rng(2)
    own: dict[str, Any] = {"scale": 0.05, "zero_point": 3 if dtype == "int8" else 131}
    own = {} if dtype == "float32" else own
    b = TFLiteBuilder()
    data = b.input("x", (1, 9, 8, 4), dtype, **own)
    y = b.tensor("y", None, dtype, **own)
    b.operator("RESIZE_BILINEAR", [data, b.constant("", np.array(size, "int32"))], [y], **options)
    model = b.build([y])
    x = rng.standard_normal((1, 9, 8, 4)).astype("float32")
    if dtype != "float32":
        x = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, x.shape).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 0.0
    return Network(load(model), lambda x: litert(model, [x])[0], tolerance, x)


def pytorch(**options: Any) -> Network:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(2, 6, 3), torch.nn.Upsample(mode="bilinear", **options)]
    module = torch.nn.Sequential(*layers, torch.nn.Conv2d(6, 1, 3)).eval()
    x = torch.randn(1, 2, 12, 10)
    program = torch.export.export(module, (x,))
    expected = lambda x: module(torch.from_numpy(x)).detach().numpy()  # noqa: E731
    return Network(load(program), expected, 1e-5, x.numpy())


BY = np.array([1, 1, 2.3, 1.7], "float32")
NETWORKS: dict[str, Callable[[], Network]] = {
    **{f"onnx_{mode}": lambda mode=mode: onnx_float(mode, n=np.array([1, 4, 23, 20], "int64"))
       for mode in COORDINATES},
    **{f"onnx_scaled_{mode}": lambda mode=mode: onnx_float(mode, s=BY)
       for mode in ("half_pixel", "asymmetric")},
    "onnx_int8": lambda: onnx_integers("int8", (18, 15), 0.0531),
    "onnx_int8_rescaled": lambda: onnx_integers("int8", (12, 10), 0.0487),
    "onnx_uint8": lambda: onnx_integers("uint8", (18, 5), 0.0531),
    "tflite_float32": lambda: tflite("float32", (18, 16), half_pixel_centers=True),
    "tflite_float32_corners": lambda: tflite("float32", (17, 11), align_corners=True),
    "tflite_int8": lambda: tflite("int8", (18, 17), half_pixel_centers=True),
    "tflite_uint8": lambda: tflite("uint8", (18, 16), half_pixel_centers=True),
    "tflite_uint8_corners": lambda: tflite("uint8", (13, 37), align_corners=True),
    "tflite_uint8_smaller": lambda: tflite("uint8", (5, 6), half_pixel_centers=True),
    "tflite_uint8_ties": lambda: tflite("uint8", (30, 50)),
    "pytorch": lambda: pytorch(scale_factor=2),
    "pytorch_corners": lambda: pytorch(scale_factor=2, align_corners=True),
    "pytorch_scaled": lambda: pytorch(scale_factor=(1.25, 2.3)),
}  # fmt: skip


def test_networks_in_c(tmp_path) -> None:
    """Streamed and whole, the bits of the framework for integers; nothing is opaque."""
    networks = FrameworkNetworks()
    for name, build in NETWORKS.items():
        network = build()
        called, streamed = networks.add(name, network)
        assert called.count("dero.resize_bilinear") == 1, (name, called)
        convolutional = name.startswith("pytorch") or network.tolerance and "onnx" in name
        assert "dero.resize_bilinear" in streamed or not convolutional, name
    networks.check_outputs(tmp_path)
