"""Example networks from image to image: quantized, in integers, streamed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

import dero_tvm
from examples.models.autoencoder import autoencoder
from examples.models.convnext import convnext
from examples.models.quantize import quantize
from examples.models.random_images import random_inputs
from examples.models.style_transfer import style_transfer
from examples.models.unet import unet
from tests.end_to_end.onnx_networks import output_step
from tests.end_to_end.oracles import only, onnx_runtime

SMALL = {"resolution": 32, "widths": (4, 8, 16)}
NETWORKS: dict[str, tuple[Callable[[], onnx.ModelProto], str, int, float]] = {
    "transposed": (lambda: unet(**SMALL), "conv2d_transpose", 2, 0.02),
    # Many sums are ties between two results, which ONNX Runtime's float32 noise decides.
    "bilinear": (lambda: unet(upsampling="bilinear", **SMALL), "resize_bilinear", 2, 0.8),
    "autoencoder": (lambda: autoencoder(channels=1, **SMALL), "conv2d_transpose", 3, 0.02),
}


def test_bytes_of_the_autoencoder() -> None:
    """Of 55,296 with every tensor whole: the result of three channels is transposed in place."""
    model = autoencoder()
    quantized = quantize(model, random_inputs(model, 2, seed=3))
    compiled = dero_tvm.compile(quantized, integer_io=True, dero="stream", time_limit=0.3)
    assert compiled.report.arena_bytes <= 40_000


@pytest.mark.parametrize("name", NETWORKS)
def test_in_integers_and_streamed(name: str) -> None:
    """No farther from the float network than ONNX Runtime is, in far less memory than whole."""
    build, operator, count, most = NETWORKS[name]
    model = build()
    quantized = quantize(model, random_inputs(model, 4, seed=3))
    (feed,) = random_inputs(model, 1, seed=5)
    compiled = dero_tvm.compile(quantized, integer_io=True, dero="stream", time_limit=0.3)
    operations = [o for c in compiled.network.cascades for o in c.operations]
    upsampled = [o for o in operations if o.signature.operator == f"dero.{operator}"]
    assert len(upsampled) == count
    assert all(o.signature.output.dtype == "int8" for o in operations)
    assert compiled.report.arena_bytes < 0.6 * compiled.report.whole_bytes

    found = only(dero_tvm.compile(quantized, dero="none").run(feed))
    real, rounded = (only(onnx_runtime(m, [feed])[0]) for m in (model, quantized))
    assert np.abs(found - real).mean() < 1.1 * np.abs(rounded - real).mean()
    assert np.abs(found - rounded).mean() < most * output_step(quantized)


@pytest.mark.parametrize("upsampling", ["nearest", ""])
def test_what_upsampling_there_is(upsampling: str) -> None:
    with pytest.raises(ValueError, match="is none of transposed, bilinear"):
        unet(upsampling=upsampling)


NORMALIZED: dict[str, Callable[[], onnx.ModelProto]] = {
    "layer norms": lambda: convnext(resolution=48, widths=(24, 48)),
    "instance norms": lambda: style_transfer(resolution=32, width=4, blocks=1),
    "group norms": lambda: style_transfer(norm="group", resolution=32, width=4, blocks=1),
}


@pytest.mark.parametrize("name", NORMALIZED)
def test_normalized_networks_in_half_of_the_memory(name: str) -> None:
    """Of a normalization over the image one tensor waits, and of others nothing but rows."""
    model = NORMALIZED[name]()
    compiled = dero_tvm.compile(model, dero="stream", input_layout="nhwc", time_limit=0.3)
    assert compiled.report.arena_bytes <= compiled.report.whole_bytes / 2
    operations = [o for c in compiled.network.cascades for o in c.operations]
    assert all(o.signature.operator.startswith("dero.") for o in operations)

    (feed,) = random_inputs(model, 1, seed=5)
    expected = only(onnx_runtime(model, [feed])[0])
    nhwc = {key: value.transpose(0, 2, 3, 1) for key, value in feed.items()}
    assert np.abs(only(compiled.run(nhwc)) - expected).max() < 1e-5 * np.ptp(expected)


def test_which_norms_there_are() -> None:
    with pytest.raises(ValueError, match="'batch' is none of instance, group"):
        style_transfer(norm="batch")
