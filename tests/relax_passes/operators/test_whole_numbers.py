"""Integers that stand for themselves, and what is converted to them, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.row_kernel_runner import RowKernel
from tests.oracles.onnx_session import session

SHAPE = (1, 3, 6, 5)
KINDS = {"int32": TensorProto.INT32, "int64": TensorProto.INT64}
TWO = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mod", "Less", "Equal")


def network(nodes, constants, result=TensorProto.FLOAT):
    """An ONNX model from ``x`` to ``y``, beside ONNX Runtime."""
    made = [helper.make_node(op, inputs, [out], **attrs) for op, inputs, out, attrs in nodes]
    graph = helper.make_graph(
        made,
        "numbers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", result, SHAPE)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    runtime = session(model)
    x = np.random.default_rng(0).uniform(-9e4, 9e4, SHAPE).astype("float32")
    return Network(load(model), lambda x: runtime.run(None, {"x": x})[0], 0, x)


def test_arithmetic(tmp_path):
    networks = FrameworkNetworks()
    for kind, number in KINDS.items():
        for op in TWO:
            constant = np.array([[[7]], [[-300]], [[11]]], kind)
            nodes = [("Cast", ["x"], "i", {"to": number}), (op, ["i", "c"], "j", {})]
            nodes.append(("Cast", ["j"], "y", {"to": TensorProto.FLOAT}))
            called, _ = networks.add(f"{op}_{kind}", network(nodes, {"c": constant}))
            assert all(operator.startswith("dero.") for operator in called), (op, called)
    networks.check_outputs(tmp_path)


def test_requantization_in_integers(tmp_path):
    """What networks with integers as floating-point numbers have: factors, shifts, clips."""
    nodes = [
        ("Mul", ["x", "kappa"], "a", {}),
        ("Add", ["a", "lambda"], "b", {}),
        ("Cast", ["b"], "c", {"to": TensorProto.INT64}),
        ("Mul", ["c", "factor"], "d", {}),
        ("Div", ["d", "divisor"], "e", {}),
        ("Cast", ["e"], "f", {"to": TensorProto.FLOAT}),
        ("Floor", ["f"], "g", {}),
        ("Clip", ["g", "low", "high"], "y", {}),
    ]
    constants = {
        "kappa": np.array([[[3.0]], [[-7.0]], [[1.0]]], "float32"),
        "lambda": np.array([[[100.0]], [[20.0]], [[-5.0]]], "float32"),
        "factor": np.array(23, "int64"),
        "divisor": np.array(1 << 14, "int64"),
        "low": np.float32(0),
        "high": np.float32(255),
    }
    networks = FrameworkNetworks()
    called, streamed = networks.add("integers", network(nodes, constants))
    assert all(operator.startswith("dero.") for operator in called) and "dero.cast" in streamed
    networks.check_outputs(tmp_path)


@pytest.mark.parametrize(
    ("operator", "dtypes", "attrs", "message"),
    [
        (
            "integer_binary",
            ["int32"] * 2,
            {"function": "hypot"},
            "function must be one of .*, got 'hypot'",
        ),
        ("integer_binary", ["int8"] * 2, {"function": "add"}, "of one type out of int32, int64"),
        ("cast", ["float32"], {"dtype": "float16"}, "dtype must be one of .*, got 'float16'"),
    ],
)
def test_refusals(operator, dtypes, attrs, message):
    with pytest.raises(ValueError, match=message):
        RowKernel(operator, [TensorSpec((2, 3), dtype) for dtype in dtypes], **attrs)
