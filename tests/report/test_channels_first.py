"""A remark says how a channels-first image at the peak would need less memory, and is right."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import dero_tvm
from tests.tiny_models import model_of, residual


def narrowing(size: int = 16):
    """A wide image, then few channels: the image decides the peak."""
    weight = np.random.default_rng(0).standard_normal((2, 16, 3, 3)).astype("float32")
    nodes = [helper.make_node("Conv", ["image", "w"], ["scores"], pads=[1] * 4, strides=[2, 2])]
    shapes = {"image": (1, 16, size, size)}, {"scores": (1, 2, size // 2, size // 2)}
    return model_of(nodes, *shapes, {"w": weight})


def test_remark():
    report = dero_tvm.compile(narrowing(), dero="stream").report
    (note,) = report.notes
    assert note.startswith("the input image is channels-first") and "--input-layout nhwc" in note
    followed = dero_tvm.compile(narrowing(), dero="stream", input_layout="nhwc").report
    assert followed.arena_bytes < report.arena_bytes
    assert not followed.notes


@pytest.mark.parametrize("layout", ["model", "nhwc"])
def test_no_remark_where_the_peak_is_elsewhere(layout):
    network = residual(spatial=True, channels=8, size=16)
    report = dero_tvm.compile(network, dero="none", input_layout=layout).report
    assert not report.notes


def test_inputs_that_nhwc_leaves_as_they_are():
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["scores"], pads=[1] * 4),
        helper.make_node("Softmax", ["vector"], ["odds"]),
        helper.make_node("Softmax", ["grid"], ["best"], axis=3),
    ]
    weight = {"w": np.ones((2, 3, 3, 3), "float32")}
    inputs = {"image": (1, 3, 8, 8), "vector": (1, 5), "grid": (1, 2, 3, 4)}
    outputs = {"scores": (1, 2, 8, 8), "odds": (1, 5), "best": (1, 2, 3, 4)}
    model = model_of(nodes, inputs, outputs, weight)
    assert not any("leaves" in note for note in dero_tvm.compile(model).report.notes)
    for _ in range(2):  # the second time the same
        report = dero_tvm.compile(model, input_layout="nhwc").report
        assert report.notes == (
            "--input-layout nhwc leaves the input vector as it is: its shape is [1, 5], and images "
            "have four dimensions",
            "--input-layout nhwc leaves the input grid as it is: its shape stays [1, 2, 3, 4], for "
            "what reads it does not want it transposed",
        )
