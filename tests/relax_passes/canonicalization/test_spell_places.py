"""Elements read from and written to places, constant and computed, as ONNX's evaluator has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from relax_passes import pipeline
from relax_passes.ir.straight_line import read_function
from tests.compiled.c_batch import library_of, streamed_program
from tests.models.tiny_models import model_of

REDUCTIONS = ("none", "add", "mul", "min", "max")
IMAGE = (1, 3, 5, 4)


def scatter_elements(reduction: str, indices: np.ndarray, axis: int) -> Any:
    node = helper.make_node(
        "ScatterElements", ["x", "i", "u"], ["y"], axis=axis, reduction=reduction
    )
    return node, indices, indices.shape


def scatter_nd(reduction: str, indices: np.ndarray, rest: tuple[int, ...]) -> Any:
    node = helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction)
    return node, indices, (*indices.shape[:-1], *rest)


def rows(numbers: list[int]) -> np.ndarray:
    """The same places along axis 2 in all lines."""
    places = np.array(numbers).reshape(1, 1, -1, 1)
    return np.broadcast_to(places, (1, 3, len(numbers), 4)).copy()


TWICE = np.array([[[[0, -1, 0, 3]]]])
CASES = {
    **{f"elements {r}": scatter_elements(r, rows([3, -5]), 2) for r in REDUCTIONS},
    **{f"elements twice {r}": scatter_elements(r, TWICE, 3) for r in REDUCTIONS[1:]},
    "elements apart": scatter_elements("none", np.array([[[[2], [0]], [[1], [-1]]]]), 3),
    **{f"nd {r}": scatter_nd(r, np.array([[0, 2], [0, -3]]), (5, 4)) for r in REDUCTIONS},
    "nd elements": scatter_nd("add", np.array([[0, 2, 1, 0], [0, 2, 1, 0], [0, 1, 4, -1]]), ()),
    "gather elements": (
        helper.make_node("GatherElements", ["x", "i"], ["y"], axis=3),
        np.arange(30).reshape(1, 3, 5, 2) % 7 - 3,
        None,
    ),
    "gather rows": (
        helper.make_node("GatherElements", ["x", "i"], ["y"], axis=2),
        rows([4, 0]),
        None,
    ),
    "gather nd": (
        helper.make_node("GatherND", ["x", "i"], ["y"]),
        np.array([[0, 2, 1], [0, 0, 4]]),
        None,
    ),
    "gather nd in batches": (
        helper.make_node("GatherND", ["x", "i"], ["y"], batch_dims=2),
        np.array([[[[3], [0]], [[1], [1]], [[2], [4]]]]),
        None,
    ),
}


def model(case: str, *, computed: bool) -> tuple[onnx.ModelProto, dict[str, tuple[int, ...]]]:
    node, indices, updates = CASES[case]
    inputs = {"x": IMAGE} | ({} if updates is None else {"u": updates})
    nodes, constants = [node], {"i": indices}
    if computed:
        inputs["f"], constants = indices.shape, {}
        nodes = [helper.make_node("Cast", ["f"], ["i"], to=onnx.TensorProto.INT64), node]
    return model_of(nodes, inputs, {"y": None}, constants, opset=18), inputs


def test_as_onnx_has_them() -> None:
    networks = {
        f"c_{number}_{computed:d}": (case, *model(case, computed=computed))
        for number, case in enumerate(CASES)
        for computed in (False, True)
    }
    library = library_of({name: streamed_program(made) for name, (_, made, _) in networks.items()})
    rng = np.random.default_rng(0)
    for name, (case, made, inputs) in networks.items():
        given = {k: rng.standard_normal(shape).astype("float32") for k, shape in inputs.items()}
        if "f" in given:
            given["f"] = CASES[case][1].astype("float32")
        (expected,) = ReferenceEvaluator(made).run(None, given)
        (found,) = library.run(name, given)[0].values()
        np.testing.assert_allclose(found, expected, 1e-6, err_msg=f"{case} {name}")


@pytest.mark.parametrize("case", CASES)
def test_constant_places_go_by_rows(case: str) -> None:
    module = pipeline.Canonicalize()(load(model(case, computed=False)[0]).module)
    calls = [value.op.name for _, value in read_function(module).bindings]
    assert not [name for name in calls if not name.startswith("dero.")]


def test_an_index_outside_is_refused() -> None:
    for node, indices in (
        (CASES["nd add"][0], np.array([[0, 3]])),
        (CASES["elements none"][0], rows([5, -6])),
    ):
        shape = (1, 5, 4) if node.op_type == "ScatterND" else indices.shape
        network = model_of([node], {"x": IMAGE, "u": shape}, {"y": None}, {"i": indices}, opset=18)
        with pytest.raises(UserError, match="outside of a tensor of shape"):
            streamed_program(network)


def test_computed_places_outside_stay_inside_of_the_tensor() -> None:
    made, _ = model("nd none", computed=True)
    library = library_of({"far": streamed_program(made)})
    given = {"x": np.zeros(IMAGE, "float32"), "u": np.ones((2, 5, 4), "float32")}
    given["f"] = np.array([[7, 99], [-9, -99]], "float32")
    (found,) = library.run("far", given)[0].values()
    assert found[0, 2].all() and found[0, 0].all() and not found[0, 1].any()
