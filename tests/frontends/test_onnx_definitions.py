"""Operators that ONNX defines by others, as the onnx package computes them.

Each operator alone is one of the node tests; here they stand in networks.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from relax_passes.ir.origins import Origin, origins_of
from relax_passes.ir.straight_line import read_function
from tests.compiled.c_batch import library_of, streamed_program
from tests.models.tiny_models import model_of

SHAPE = (1, 4, 6, 8)
HELD = {
    "size": np.array([4, 5]),
    "scale": np.linspace(0.5, 2, 8, dtype="float32"),
    "four": np.array([1, 4, 48]),
}


def node(operator: str, *names: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, names[:-1], names[-1:], **attributes)


CASES = {
    "twice": [
        *(node("Swish", "x", "a", alpha=0.7), node("Swish", "a", "b"), node("Celu", "b", "c")),
        node("Celu", "c", "y", alpha=2.0),
    ],
    "names of its own": [node("Relu", "x", "Alpha"), node("Swish", "Alpha", "y")],
    "shapes": [
        node("CenterCropPad", "x", "size", "a", axes=[-1, 2]),
        node("RMSNormalization", "x", "scale", "b"),
        node("CenterCropPad", "b", "size", "c", axes=[3, 2]),
        node("Mul", "a", "c", "y"),
    ],
    "attention": [
        *(node("Reshape", "x", "four", "q"), node("Transpose", "q", "k", perm=[0, 2, 1])),
        node("Attention", "k", "k", "k", "y", q_num_heads=2, kv_num_heads=2),
    ],
    "a second result": [
        helper.make_node("LayerNormalization", ["x", "scale"], ["a", "mean"]),
        node("Sub", "a", "mean", "y"),
    ],
}


def network(nodes: list[onnx.NodeProto], opset: int = 24) -> onnx.ModelProto:
    return model_of(nodes, {"x": SHAPE}, {"y": None}, HELD, opset=opset)


def test_in_networks() -> None:
    models = {f"case_{number}": network(nodes) for number, nodes in enumerate(CASES.values())}
    library = library_of({name: streamed_program(model) for name, model in models.items()})
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    for case, (name, model) in zip(CASES, models.items()):
        (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
        (found,) = library.run(name, {"x": x})[0].values()
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6, err_msg=case)


def calling(body: list[onnx.NodeProto], opset: int, of_the_model: int) -> onnx.ModelProto:
    """A network of one function that the file defines in an operator set of its own."""
    function = helper.make_function(
        "own", "Part", ["a"], ["b"], body, [helper.make_opsetid("", opset)]
    )
    call = helper.make_node("Part", ["x"], ["y"], domain="own")
    model = model_of([call], {"x": SHAPE}, {"y": None}, opset=of_the_model)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


OTHER_SETS = {
    "same": calling([node("Relu", "a", "b")], 18, 18),
    "newer": calling([node("Relu", "a", "b")], 21, 18),
    "mean": calling([node("ReduceMean", "a", "b", axes=[2, 3])], 13, 18),
    "new_axis": calling([node("Unsqueeze", "a", "b", axes=[0])], 11, 18),
    "softmax": calling([node("Softmax", "a", "b", axis=1)], 11, 18),
}


def test_functions_of_other_operator_sets() -> None:
    library = library_of({name: streamed_program(model) for name, model in OTHER_SETS.items()})
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    for name, model in OTHER_SETS.items():
        (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
        if name == "softmax":  # the evaluator takes it for today's
            flat = np.exp(x.reshape(1, -1))
            expected = (flat / flat.sum()).reshape(SHAPE)
        (found,) = library.run(name, {"x": x})[0].values()
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6, err_msg=name)


def test_a_function_that_cannot_be_brought_to_the_set_of_the_model() -> None:
    body = [
        helper.make_node("Constant", [], ["axes"], value_ints=[2, 3]),
        node("ReduceMean", "a", "axes", "b"),
    ]
    with pytest.raises(UserError, match=r"operator set of the model \(Part 18\)"):
        load(calling(body, 18, 13))


def test_what_it_consists_of_has_its_name() -> None:
    bindings = read_function(load(network([node("Swish", "x", "y", name="gate")])).module).bindings
    found = [origins_of(var) for var, _ in bindings]
    assert set(found) == {(Origin("Swish", "gate"),)}


def test_of_a_newer_operator_set_it_is_refused() -> None:
    with pytest.raises(UserError, match="unsupported operators: Swish"):
        load(network([node("Swish", "x", "y")], opset=20))
