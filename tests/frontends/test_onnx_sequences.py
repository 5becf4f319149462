"""Sequences whose parts are known are read as the tensors themselves."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

import dero_tvm

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,6,2,2] x) => (float[OUT] y)'


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (
            "1,2,2,2",
            "<int64[3] n = {2, 2, 2}, int64 i = {0}, int64 j = {-1}> { s = SplitToSequence<axis=1>"
            "(x, n) a = SequenceAt(s, i) b = SequenceAt(s, j) y = Add(a, b) }",
        ),
        (
            "1,4,2,2",
            "<int64 n = {4}, int64 i = {0}> { s = SplitToSequence<axis=1>(x, n)"
            " y = SequenceAt(s, i) }",
        ),
        (
            "1,2,2,2,3",
            "<int64 n = {2}> { s = SplitToSequence<axis=1>(x, n)"
            " y = ConcatFromSequence<axis=4, new_axis=1>(s) }",
        ),
    ],
)
def test_parts(shape: str, body: str) -> None:
    model = onnx.parser.parse_model(HEAD.replace("OUT", shape) + body)
    x = np.random.default_rng(0).standard_normal((1, 6, 2, 2)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    found = dero_tvm.compile(model, dero="none").run({"x": x})
    np.testing.assert_allclose(found["y"], expected, rtol=1e-6)
