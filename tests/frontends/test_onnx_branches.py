"""If nodes whose condition is known become the branch that is taken, as in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from tests.compiled.c_batch import library_of, whole_program
from tests.frontends.onnx_runtime import run_plainly
from tests.models.tiny_models import model_of

SHAPE = (1, 4, 6, 5)
HELD = {"yes": np.array(True), "no": np.array([False]), "axis": np.int64(1), "four": np.int64(4)}


def branch(nodes: list[onnx.NodeProto], result: str, **held: float) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.float32(value), name) for name, value in held.items()]
    return helper.make_graph(nodes, "branch", [], [output], tensors)


def question(condition: str, result: str, then: onnx.GraphProto, other: onnx.GraphProto):
    return helper.make_node("If", [condition], [result], then_branch=then, else_branch=other)


def node(operator: str, *names: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, names[:-1], names[-1:], **attributes)


def either(operand: str = "x") -> tuple[onnx.GraphProto, onnx.GraphProto]:
    return branch([node("Abs", operand, "o")], "o"), branch([node("Neg", operand, "o")], "o")


CASES = {
    "then": [question("yes", "y", *either())],
    "else": [question("no", "y", *either())],
    "about a shape": [
        *(
            node("Shape", "x", "s"),
            node("Gather", "s", "axis", "n"),
            node("Equal", "n", "four", "c"),
        ),
        question("c", "y", *either()),
    ],
    "names that are used again": [
        node("Relu", "x", "r"),
        question("no", "z", *either("r")),
        question(
            "yes",
            "y",
            branch([node("Abs", "z", "o"), node("Add", "o", "r", "t")], "t"),
            branch([node("Neg", "r", "t")], "t"),
        ),
    ],
    "nested": [
        node("Relu", "x", "a"),
        question(
            "yes",
            "y",
            branch([node("Neg", "a", "p"), question("no", "q", *either("p"))], "q"),
            branch([node("Relu", "a", "q")], "q"),
        ),
    ],
    "constants of their own": [
        question(
            "yes",
            "z",
            branch([node("Constant", "h", value_float=0.5), node("Mul", "x", "h", "o")], "o"),
            branch([node("Identity", "x", "o")], "o"),
        ),
        question("no", "y", either("z")[0], branch([node("Add", "z", "k", "o")], "o", k=7)),
    ],
    "what is outside": [
        question("yes", "z", *2 * [branch([node("Identity", "x", "o")], "o")]),
        node("Neg", "z", "y"),
    ],
    "what only a branch reads": [
        helper.make_node("Split", ["x"], ["a", "b"], axis=3, num_outputs=2),
        node("Relu", "a", "r"),
        question("yes", "z", *either("b")),
        node("Concat", "r", "z", "y", axis=3),
    ],
}


def network(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    return model_of(nodes, {"x": SHAPE}, {"y": None}, HELD, opset=18)


def test_the_branch_that_is_taken() -> None:
    models = {f"case_{i}": network(nodes) for i, nodes in enumerate(CASES.values())}
    library = library_of({name: whole_program(load(model)) for name, model in models.items()})
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    for case, (name, model) in zip(CASES, models.items()):
        expected = run_plainly(model, {"x": x})
        assert expected is not None, case
        (found,) = library.run(name, {"x": x})[0].values()
        np.testing.assert_array_equal(found, expected, case)


def test_a_condition_of_the_data_is_refused() -> None:
    nodes = [node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "c", to=TensorProto.BOOL)]
    with pytest.raises(UserError, match="unsupported operators: If"):
        load(network([*nodes, question("c", "y", *either())]))
