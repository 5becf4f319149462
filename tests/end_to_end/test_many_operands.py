"""Joins of very many operands, and very many joins: right in C, not for ever in the making."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import dero_tvm
from dero_tvm.frontends import load
from tests.compiled.compiled_c import run_in_c


def join(operator: str, operands: int) -> onnx.ModelProto:
    """`operator` of a quarter as many different tensors, each several times, in mixed order."""
    different = operands // 4
    rng = np.random.default_rng(operands)
    order = rng.permutation(np.repeat(np.arange(different), 4))
    nodes = [helper.make_node("Mul", ["x", f"c{i}"], [f"t{i}"]) for i in range(different)]
    attributes = {"axis": 1} if operator == "Concat" else {}
    nodes.append(helper.make_node(operator, [f"t{i}" for i in order], ["y"], **attributes))
    constants = rng.standard_normal((different, 1, 2, 1, 1), np.float32)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, f"c{i}") for i, value in enumerate(constants)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("operator", ["Sum", "Concat"])
def test_as_onnx_runtime(operator: str) -> None:
    model = join(operator, 160)
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"x": x})
    (actual,) = run_in_c(load(model), [x])
    # What the judge adds first is its own affair.
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("operator", ["Sum", "Concat"])
def test_work_grows_less_than_quadratically(operator: str) -> None:
    calls = [_calls_of_compiling(join(operator, operands)) for operands in (12, 32, 64)]
    # From 12 operands 20 more and 52 more; were it quadratic, 1:4.5, and cubic, 1:8.4.
    assert calls[2] - calls[0] < 4.5 * (calls[1] - calls[0])


def network_of(nodes: list[onnx.NodeProto], *weights: onnx.TensorProto) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 4])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def graph_of_sums(length: int) -> onnx.ModelProto:
    """Each tensor is the sum of the one before and of one half as far from the input."""
    nodes = [helper.make_node("Relu", ["x"], ["t0"]), helper.make_node("Sigmoid", ["x"], ["t1"])]
    nodes += [
        helper.make_node("Add", [f"t{i - 1}", f"t{i // 2}"], [f"t{i}"]) for i in range(2, length)
    ]
    return network_of([*nodes, helper.make_node("Relu", [f"t{length - 1}"], ["y"])])


def chain_of_sums(length: int) -> onnx.ModelProto:
    """Each tensor is the sum of the one before and of a convolution of the network's input."""
    nodes = []
    for i in range(length):
        nodes.append(helper.make_node("Conv", ["x", "w"], [f"k{i}"]))
        nodes.append(helper.make_node("Add", [f"t{i - 1}" if i else "x", f"k{i}"], [f"t{i}"]))
    weights = np.random.default_rng(0).standard_normal((2, 2, 1, 1), np.float32)
    return network_of(nodes, numpy_helper.from_array(weights, "w"))


@pytest.mark.parametrize("network", [graph_of_sums, chain_of_sums])
def test_work_grows_with_the_number_of_sums(
    network: Callable[[int], onnx.ModelProto],
) -> None:
    calls = [_calls_of_compiling(network(length)) for length in (12, 32, 72)]
    # From 12 sums 20 more and 60 more; were it quadratic, 1:5.7, and in proportion, 1:3.
    assert calls[2] - calls[0] < 4.5 * (calls[1] - calls[0])


def test_loops_stay_shallow() -> None:
    """A cascade of a hundred is no nest of as many loops, which compilers need not take."""
    compiled = dero_tvm.compile(load(join("Max", 100)), dero="stream")
    source = compiled.archive.files["codegen/host/src/default_lib1.c"].decode()
    depth = max((len(line) - len(line.lstrip(" "))) // 2 for line in source.splitlines())
    assert depth < 64


def _calls_of_compiling(model: onnx.ModelProto) -> int:
    """Calls of Python functions: a measure of work that no other process disturbs."""
    loaded, count = load(model), 0

    def counting(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counting)
    try:
        dero_tvm.compile(loaded, dero="stream")
    finally:
        sys.setprofile(None)
    return count
