"""Gathers stay inside their tensors, whatever indices the application gives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tvm
from onnx import helper
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

import dero_tvm
from dero_tvm.boundary.errors import UserError
from dero_tvm.runners import run_host_c
from relax_passes.canonicalization.bound_indices import BoundIndices
from tests.tiny_models import model_of

FAR = np.array([-(1 << 40), -5, -4, -1, 0, 3, 4, 1 << 40])


def const(value, dtype="int64"):
    return relax.const(np.array(value), dtype)


def test_computed_indices() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(
            x: R.Tensor((4, 3), "float32"), i: R.Tensor((2,), "int64"), k: R.Tensor((5, 2), "int64")
        ) -> R.Tuple(R.Tensor((2, 3), "float32"), R.Tensor((5,), "float32")):
            with R.dataflow():
                rows = R.take(x, i, axis=0)
                points = R.gather_nd(x, k)
                R.output(rows, points)
            return (rows, points)

    @I.ir_module
    class Expected:
        @R.function
        def main(
            x: R.Tensor((4, 3), "float32"), i: R.Tensor((2,), "int64"), k: R.Tensor((5, 2), "int64")
        ) -> R.Tuple(R.Tensor((2, 3), "float32"), R.Tensor((5,), "float32")):
            with R.dataflow():
                rows = R.take(x, i, axis=0, mode="clip")
                c = R.maximum(k, const([0, 0]))
                d = R.minimum(c, const([3, 2]))
                points = R.gather_nd(x, d)
                R.output(rows, points)
            return (rows, points)

    tvm.ir.assert_structural_equal(BoundIndices()(Before), Expected)


def test_what_is_inside_is_left_alone() -> None:
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor((4, 3), "float32"), i: R.Tensor((2,), "int64")) -> R.Tuple(
            R.Tensor((2,), "float32"), R.Tensor((2, 3), "float32")
        ):
            with R.dataflow():
                points = R.gather_nd(x, const([[0, 2], [3, 0]]))
                clipped = R.take(x, i, axis=0, mode="clip")
                R.output(points, clipped)
            return (points, clipped)

    tvm.ir.assert_structural_equal(BoundIndices()(Module), Module)


NETWORKS = {
    "Gather": ((8,), (8, 3)),
    "GatherElements": ((8, 1), (8, 1)),
    "GatherND": ((8, 1), (8, 3)),
}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("operator", NETWORKS)
def test_indices_from_afar(operator: str) -> None:
    indices, shape = NETWORKS[operator]
    given = {"x": (4, 3), "i": indices}
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "i"], ["y"])],
        operator,
        [
            helper.make_tensor_value_info(name, 7 if name == "i" else 1, given[name])
            for name in given
        ],
        [helper.make_tensor_value_info("y", 1, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    archive = dero_tvm.compile(model).archive
    arrays = {name: np.ones(size, "float32") for name, size in given.items()}
    arrays["i"] = np.resize(FAR, indices)
    result = run_host_c(archive, [arrays], compiler="gcc", sanitize=True)
    assert result.guard_ok
    np.testing.assert_array_equal(result.outputs[0]["y"], np.ones(shape, "float32"))


@pytest.mark.parametrize("indices", [None, np.array([1, 3])], ids=["computed", "constant"])
def test_tvm_adds_nothing_to_what_is_printed(indices, capfd: pytest.CaptureFixture[str]) -> None:
    nodes = [helper.make_node("Gather", ["x", "i"], ["y"])]
    if indices is None:
        nodes.insert(0, helper.make_node("Cast", ["z"], ["i"], to=7))
    given = {"x": (4, 3)} | ({"z": (2,)} if indices is None else {})
    constants = {} if indices is None else {"i": indices}
    dero_tvm.compile(model_of(nodes, given, {"y": (2, 3)}, constants))
    assert capfd.readouterr() == ("", "")


def test_constant_outside() -> None:
    nodes = [helper.make_node("Gather", ["x", "i"], ["y"])]
    model = model_of(nodes, {"x": (4, 3)}, {"y": (2, 3)}, {"i": np.array([1, 7])})
    with pytest.raises(UserError) as caught:
        dero_tvm.compile(model)
    assert str(caught.value).endswith("take: the index 7 is outside of a tensor of shape [4, 3]")
