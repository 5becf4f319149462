"""ONNX Pad: computed amounts as PyTorch writes them, chosen axes, values; against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import dero_tvm
from relax_passes.canonicalization.canonicalize import Canonicalize
from relax_passes.operators import operator_of
from tests.compiled_c import run_in_c
from tests.onnx_session import session

SHAPE = (1, 3, 4, 5)


def network(nodes, constants, opset=18):
    graph = helper.make_graph(
        nodes,
        "pads",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def traced():
    """Amounts from the shape of a tensor behind another Pad, reversed and reshaped."""
    node = helper.make_node
    nodes = [
        node("Pad", ["x", "first"], ["a"]),
        node("Shape", ["a"], ["shape"]),
        node("Gather", ["shape", "one"], ["channels"]),
        node("Neg", ["channels"], ["negative"]),
        node("Mod", ["negative", "eight"], ["missing"]),
        node("Unsqueeze", ["missing", "zero"], ["last"]),
        node("Concat", ["zeros", "last"], ["flat"], axis=0),
        node("Reshape", ["flat", "pairs"], ["table"]),
        node("Slice", ["table", "minus", "least", "zero", "minus"], ["reversed"]),
        node("Transpose", ["reversed"], ["ordered"], perm=[1, 0]),
        node("Reshape", ["ordered", "minus"], ["amounts"]),
        node("Cast", ["amounts"], ["whole"], to=TensorProto.INT64),
        node("Pad", ["a", "whole"], ["y"]),
    ]
    constants = {
        "first": [0, 1, 0, 0, 0, 0, 0, 0], "one": np.int64(1), "eight": np.int64(8), "zero": [0],
        "zeros": [0] * 7, "pairs": [-1, 2], "minus": [-1], "least": [-(2**62)],
    }  # fmt: skip
    return network(nodes, constants, opset=17)


def chosen_axes():
    node = helper.make_node("Pad", ["x", "amounts", "value", "axes"], ["y"])
    constants = {"amounts": [1, 2, 3, 4], "value": np.float32(0.5), "axes": [3, 1]}
    return network([node], constants)


def without_value():
    return network([helper.make_node("Pad", ["x", "amounts"], ["y"])], {"amounts": [0, 1] * 4})


def quantized_value():
    """As ONNX Runtime's quantizer writes it."""
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["value"]),
        helper.make_node("Pad", ["x", "amounts", "value"], ["y"]),
    ]
    constants = {
        "amounts": [0, 1] * 4, "q": np.int8(9), "scale": np.float32(0.25), "zero": np.int8(-3),
    }  # fmt: skip
    return network(nodes, constants)


@pytest.mark.parametrize("build", [traced, chosen_axes, without_value, quantized_value])
def test_like_onnx_runtime(build) -> None:
    model = build()
    data = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    (expected,) = session(model).run(None, {"x": data})
    loaded = dero_tvm.load(model)
    module = Canonicalize()(loaded.module)
    bindings = module["main"].body.blocks[0].bindings
    assert all(operator_of(binding.value) is not None for binding in bindings)
    (actual,) = run_in_c(loaded, [data])
    np.testing.assert_array_equal(actual, expected)
