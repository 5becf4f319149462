"""Networks written by hand in PyTorch: every shortcut but the stem's is fused, however exported."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxruntime")

import dero_tvm
from benchmarks import handwritten_table as table
from dero_tvm.driver.prepare import prepare
from relax_passes.ir.dataflow import dtype_of
from relax_passes.ir.decisions import decisions
from relax_passes.ir.inline import inlined
from relax_passes.ir.straight_line import read_function

SHORTCUTS = {"resnet50": 48, "mobilenet_v2": 52, "mcunet_in3": 54, "densenet121": 120}
STEM = "the shortcut is added behind a pooling: it spans more than a convolution"
SMALL = {"width": 0.125, "resolution": 64}
SMALLEST = SMALL | {"resolution": 32}  # the last images have one pixel


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("resnet50", "int8"),
        ("mobilenet_v2", "export"),
        ("mcunet_in3", "dynamo"),
        ("densenet121", "int8"),
        ("densenet121", "export"),
    ],
)
def test_fused(name: str, how: str) -> None:
    if how == "dynamo" and importlib.util.find_spec("onnxscript") is None:
        pytest.skip("torch.onnx.export(dynamo=True) needs onnxscript, which is not installed")
    size = SMALLEST if (name, how) == ("resnet50", "int8") else SMALL
    model = table.handwritten(name, how == "export", **size)
    images = table.torch.from_numpy(table.random_images(2, 3, size["resolution"], seed=2))
    program = table.exported(model, images[:1], "legacy" if how == "int8" else how)
    if how == "int8":
        program = dero_tvm.quantize(program, {"x": images.numpy()[:, None]}).model
    canonical = prepare(program, integer_io=how == "int8").canonical
    if how == "int8":  # whole, the stem too
        _, *steps = read_function(inlined(canonical)).bindings
        assert {dtype_of(call) for _, call in steps} == {"int8"}
    found = [d for d in decisions(canonical) if d.pass_name == "FuseShortcuts"]
    left = [STEM] if name in ("resnet50", "densenet121") else []
    assert [d.reason for d in found if d.action != "fused"] == left
    assert len(found) - len(left) == SHORTCUTS[name]


def test_outputs_are_those_of_pytorch() -> None:
    model = table.handwritten("mobilenet_v2", False, **SMALL)
    image = table.torch.from_numpy(table.random_images(1, 3, SMALL["resolution"], seed=3))
    program = table.exported(model, image, "legacy")
    compiled = dero_tvm.compile(program, dero="none")
    (found,) = compiled.run({"x": image.numpy()}).values()
    with table.torch.no_grad():
        expected = model(image).numpy()
    assert np.abs(found - expected).max() <= 1e-5 * np.ptp(expected)
