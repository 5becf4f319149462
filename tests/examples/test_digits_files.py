"""The committed digit networks are what `examples/train_digits.py` promises."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from examples.digits_accuracy import MODELS, reference

NETWORKS = ["digits_float32.onnx", "digits_int8.onnx"]


@pytest.mark.parametrize("name", NETWORKS)
def test_accuracy(name: str) -> None:
    test = np.load(MODELS / "digits_test.npz")
    assert test["images"].shape == (360, 1, 8, 8)
    assert np.bincount(test["labels"]).min() >= 34  # every digit, as often as in the data set
    found = reference(MODELS / name, test["images"]).argmax(axis=1)
    assert np.mean(found == test["labels"]) >= 0.98


@pytest.mark.parametrize("name", NETWORKS)
def test_interface(name: str) -> None:
    session = onnxruntime.InferenceSession(MODELS / name)
    assert [(x.name, x.shape) for x in session.get_inputs()] == [("image", [1, 1, 8, 8])]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [("logits", [1, 10])]
    image = np.load(MODELS / "digits_image.npz")
    assert list(image) == ["image"]
    session.run(None, dict(image))


def test_residuals_with_and_without_projection() -> None:
    graph = onnx.load(MODELS / "digits_float32.onnx").graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    joins = [node for node in graph.node if node.op_type == "Add"]
    sources = [sorted(makers[operand] for operand in join.input) for join in joins]
    assert sources.count(["Conv", "Relu"]) == 3
    assert sources.count(["Conv", "Conv"]) == 1


def test_small_and_free_of_paths() -> None:
    contents = [(MODELS / name).read_bytes() for name in NETWORKS]
    assert sum(map(len, contents)) < 500_000
    for content in contents:
        assert b"train_digits.py" not in content
