"""Random ONNX networks, compiled to C, give what ONNX Runtime gives; see `runs`."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.campaigns.random_onnx.forms import FORMS, random_network
from tests.campaigns.random_onnx.minimise import described, smallest_failing
from tests.campaigns.random_onnx.oracle import inputs_without_ties
from tests.campaigns.random_onnx.runs import check_networks

NETWORKS, BATCH = 48, 24


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("first", range(0, NETWORKS, BATCH))
def test_outputs_of_onnx_runtime(first: int) -> None:
    summary = check_networks(range(first, first + BATCH))
    assert not summary.failures, summary.text()
    assert summary.refused <= BATCH // 8, summary.text()
    # The networks are worth the name: quantized ones and many kinds of operators among them.
    assert summary.counts["qdq"] + summary.counts["quantizer"] > BATCH / 3
    assert len(summary.operators) > 40


def test_the_smallest_failing_part_is_found() -> None:
    """A compiler that gets one operator wrong is told of by this operator alone."""
    network = next(
        network
        for network in map(random_network, range(0, 100, len(FORMS)))
        if len(network.model.graph.node) > 8
    )
    wrong = network.model.graph.node[4].op_type

    def judge(parts):
        return {
            name: "wrong" if wrong in {n.op_type for n in part.model.graph.node} else None
            for name, part in parts.items()
        }

    small, verdict = smallest_failing(network, "all of it is wrong", judge)
    assert verdict == "wrong"
    assert [node.op_type for node in small.model.graph.node] == [wrong]
    assert f"= {wrong}(" in described(small)


@pytest.mark.parametrize(("out_scale", "found"), [(0.05, False), (0.0371, True)])
def test_inputs_near_ties_are_not_taken(out_scale: float, found: bool) -> None:
    """Averages of two in the scale of the data are ties half the time, in another scale never."""
    scales = {"s": 0.05, "t": out_scale}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("AveragePool", ["a"], ["b"], kernel_shape=[2, 1]),
        helper.make_node("QuantizeLinear", ["b", "t", "z"], ["y"]),
    ]
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.INT8, (1, 2, rows, 3))]
        for name, rows in (("x", 9), ("y", 8))
    ]
    constants = [numpy_helper.from_array(np.array(v, "float32"), k) for k, v in scales.items()]
    constants.append(numpy_helper.from_array(np.array(4, "int8"), "z"))
    graph = helper.make_graph(nodes, "ties", *ports, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    inputs = inputs_without_ties(model, np.random.default_rng(0))
    assert (inputs is not None) == found
