"""ONNX files that ask for much, hide places of other files, or contradict themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

import dero_tvm
from dero_tvm.boundary.errors import InternalError, UserError
from dero_tvm.frontends import load
from dero_tvm.frontends.onnx.nodes import Importer
from tests.campaigns.fuzzing.worker import CPU_SECONDS
from tests.compiled.host_module import run_on_host
from tests.frontends.onnx_runtime import run_plainly

node = helper.make_node
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, Any] | None = None,
    *,
    declared: dict[str, Sequence[int | str]] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """From ``x``, float32 [1, 2, 5, 5], to ``y``; `declared` are shapes of float32 results."""
    said = dict(declared or {})
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, said.pop("y", None))],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
        value_info=[
            helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in said.items()
        ],
    )
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=9, functions=functions)


def refusal(source: object) -> str:
    start = time.process_time()
    with pytest.raises(UserError) as caught:
        load(source)
    assert time.process_time() - start < CPU_SECONDS
    return str(caught.value)


# --- what the file declares ---------------------------------------------------------------------


def pooled(**declared: Sequence[int | str]) -> onnx.ModelProto:
    nodes = [
        node("MaxPool", ["x"], ["a"], name="pool", kernel_shape=[2, 2]),
        node("Relu", ["a"], ["y"], name="end"),
    ]
    return model(nodes, declared=declared)


def test_declarations_that_hold() -> None:
    load(pooled(a=[1, 2, 4, 4], y=["n", 2, 4, 4]))


def test_file_that_contradicts_itself() -> None:
    message = refusal(pooled(a=[1, 2, 5, 5]))
    assert "the file declares 'a' as float32 [1, 2, 5, 5], but MaxPool (node 'pool')" in message
    assert "computes float32 [1, 2, 4, 4] there: the file contradicts itself" in message
    assert "'y' as float32 [2, 2]" in refusal(pooled(y=[2, 2]))
    wrong = pooled(y=[1, 2, 4, 4])
    wrong.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    assert "declares 'y' as int64 [1, 2, 4, 4]" in refusal(wrong)


@pytest.mark.parametrize("declared", [{}, {"a": [1, 2, 4, 4]}], ids=["inferred", "declared"])
def test_import_that_does_otherwise(declared: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    def misread(importer: Any, name: str, inputs: Any, attrs: Any, opset: int) -> relax.Expr:
        return importer.bb.normalize(relax.op.nn.relu(inputs[0]))

    monkeypatch.setattr(Importer, "_convert_operator", misread)
    with pytest.raises(InternalError, match=r"'a', computed by MaxPool \(node 'pool'\)"):
        load(pooled(**declared))


# --- graphs that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (
            [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Abs", ["b"], ["y"])],
            "tensors depend on themselves: 'b' <- 'a' <- 'b', where Relu computes 'b'",
        ),
        ([node("Add", ["x", "y"], ["y"])], "tensors depend on themselves: 'y' <- 'y'"),
        (
            [node("Relu", ["x"], ["y"], name="one"), node("Abs", ["x"], ["y"])],
            "two nodes compute the tensor 'y': Relu (node 'one') and Abs",
        ),
        ([node("Relu", ["x"], ["x"])], "Relu computes the tensor 'x', which is an input"),
        ([node("Relu", ["x"], ["k"])], "Relu computes the tensor 'k', which is a constant"),
    ],
)
def test_no_graph(nodes: list, reason: str) -> None:
    assert reason in refusal(model(nodes, {"k": np.float32(1)}))


def test_nodes_in_any_order() -> None:
    nodes = [node("Abs", ["b"], ["y"]), node("Relu", ["a"], ["b"]), node("Neg", ["x"], ["a"])]
    assert load(model(nodes)).outputs[0].shape == (1, 2, 5, 5)


# --- functions ----------------------------------------------------------------------------------


def function(name: str, nodes: Sequence[onnx.NodeProto]) -> onnx.FunctionProto:
    return helper.make_function("own", name, ["a"], ["o"], list(nodes), OPSETS)


def test_functions_that_stand_for_too_many_nodes() -> None:
    functions = [function("f0", [node("Relu", ["a"], ["o"])])]
    for level in range(1, 10):
        names = ["a", *(f"t{i}" for i in range(9)), "o"]
        calls = [node(f"f{level - 1}", [a], [b], domain="own") for a, b in zip(names, names[1:])]
        functions.append(function(f"f{level}", calls))
    nodes = [node("f9", ["x"], ["y"], domain="own")]
    assert "more than 16,000 nodes" in refusal(model(nodes, functions=functions))


def test_function_that_calls_itself() -> None:
    functions = [
        function("f", [node("g", ["a"], ["o"], domain="own")]),
        function("g", [node("f", ["a"], ["o"], domain="own")]),
    ]
    nodes = [node("f", ["x"], ["y"], domain="own")]
    assert "its function 'f' calls itself" in refusal(model(nodes, functions=functions))


# --- tensors kept in other files ----------------------------------------------------------------


def external(name: str = "w", location: str = "../outside.bin") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def constant(**attribute: Any) -> onnx.NodeProto:
    made = node("Constant", [], ["w"])
    made.attribute.add(name="value", **attribute)
    return made


def sparse(tensor: TensorProto, *, indices: bool = False) -> onnx.SparseTensorProto:
    other = numpy_helper.from_array(np.array([0, 1], "int64" if not indices else "float32"), "w")
    pair = (other, tensor) if indices else (tensor, other)
    return onnx.SparseTensorProto(values=pair[0], indices=pair[1], dims=[9])


def inside(graph_holder: str, tensor: TensorProto) -> onnx.ModelProto:
    """A model with `tensor` somewhere."""
    made = model([node("Relu", ["x"], ["y"])])
    subgraph = helper.make_graph([], "inner", [], [], [tensor])
    kind = onnx.AttributeProto.AttributeType
    attribute = {
        "t": {"t": tensor, "type": kind.TENSOR},
        "tensors": {"tensors": [tensor], "type": kind.TENSORS},
        "sparse_tensor": {"sparse_tensor": sparse(tensor), "type": kind.SPARSE_TENSOR},
        "sparse_tensors": {"sparse_tensors": [sparse(tensor)], "type": kind.SPARSE_TENSORS},
        "g": {"g": subgraph, "type": kind.GRAPH},
        "graphs": {"graphs": [subgraph], "type": kind.GRAPHS},
    }
    match graph_holder:
        case "initializer":
            made.graph.initializer.append(tensor)
        case "sparse values":
            made.graph.sparse_initializer.append(sparse(tensor))
        case "sparse indices":
            made.graph.sparse_initializer.append(sparse(tensor, indices=True))
        case "function":
            made.functions.append(function("f", [constant(**attribute["t"])]))
        case "training":
            made.training_info.add().algorithm.initializer.append(tensor)
        case _:
            made.graph.node.append(constant(**attribute[graph_holder]))
    return made


PLACES = (
    "initializer",
    "sparse values",
    "sparse indices",
    "function",
    "training",
    *("t", "tensors", "sparse_tensor", "sparse_tensors", "g", "graphs"),
)


@pytest.mark.parametrize("place", PLACES)
def test_files_outside_of_the_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(8))
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    path = folder / "model.onnx"
    path.write_bytes(inside(place, external()).SerializeToString())
    assert "which is outside the model's folder" in refusal(path)
    # Nor is the working directory the folder.
    monkeypatch.chdir(tmp_path)
    path.write_bytes(inside(place, external(location="secret.bin")).SerializeToString())
    assert "'secret.bin', which does not exist beside the model" in refusal(path)


def test_one_file_many_times(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"], ["y"])])
    made.graph.initializer.extend(external(f"w{i}", "big.bin") for i in range(400))
    (tmp_path / "big.bin").write_bytes(bytes(1 << 20))
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    for tensor in made.graph.initializer:
        tensor.dims[0] = 1 << 18
    path.write_bytes(made.SerializeToString())
    assert "many times what there are" in refusal(path)


# --- constants that are computed ----------------------------------------------------------------

FILL = node("ConstantOfShape", ["many"], ["c"])
MANY = {"many": np.int64([60_000, 60_000])}


@pytest.mark.parametrize(
    ("makers", "constants"),
    [
        ([FILL], MANY),
        ([node("Expand", ["one", "many"], ["c"])], {"one": np.float32([1]), **MANY}),
        ([node("Tile", ["one", "many"], ["c"])], {"one": np.ones((1, 1), "f"), **MANY}),
        (
            [node("Pad", ["one", "by"], ["c"])],
            {"one": np.ones((1, 1), "f"), "by": np.int64([0, 0, 60_000, 60_000])},
        ),
        (
            [node("Add", ["a", "b"], ["c"])],
            {"a": np.ones((9**5, 1), "f"), "b": np.ones((1, 999), "f")},
        ),
        (
            [node("MatMul", ["a", "b"], ["c"])],
            {"a": np.ones((9**5, 1), "f"), "b": np.ones((1, 999), "f")},
        ),
        (
            [node("Range", ["from", "to", "by"], ["r"]), node("Cast", ["r"], ["c"], to=1)],
            {"from": 0, "to": 1 << 33, "by": 1},
        ),
        (
            [node("Resize", ["one", "", "", "many"], ["c"])],
            {"one": np.ones((1, 1, 1, 1), "f"), "many": np.int64([1, 1, 60_000, 60_000])},
        ),
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else "",
)
def test_constant_of_any_size(makers: list, constants: dict) -> None:
    nodes = [*makers, node("ReduceMax", ["c"], ["r0"], keepdims=0), node("Add", ["x", "r0"], ["y"])]
    held = {name: np.asarray(value) for name, value in constants.items()}
    message = refusal(model(nodes, held))
    assert "elements, more than the 16,777,216 that are computed beforehand" in message


def test_constants_that_take_too_long() -> None:
    size = {"many": np.int64([4000, 4000])}
    names = ["c", *(f"c{i}" for i in range(1, 30))]
    nodes = [FILL, *(node("Neg", [a], [b]) for a, b in zip(names, names[1:]))]
    nodes += [node("ReduceMax", [names[-1]], ["r"], keepdims=0), node("Add", ["x", "r"], ["y"])]
    assert "read and write too many elements" in refusal(model(nodes, size))


def test_joins_and_splits_of_many() -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("Sum", ["a"] * 300, ["y"])]
    assert "Sum of 300 operands" in refusal(model(nodes))
    parts = ["y", *(f"part{i}" for i in range(299))]
    split = helper.make_node("Split", ["long"], parts, axis=1)
    nodes = [node("Tile", ["x", "by"], ["long"]), split]
    source = model(nodes, {"by": np.int64([1, 150, 1, 1])})
    kept = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in parts[1:]]
    source.graph.output.extend(kept)
    assert "Split into 300 parts" in refusal(source)


def chain(length: int, kept: int = 0) -> onnx.ModelProto:
    """Operators that nothing merges, one after the other; the first `kept` results are outputs."""
    names = ["x", *(f"t{i}" for i in range(length)), "y"]
    source = model([node("Softmax", [a], [b]) for a, b in zip(names, names[1:])])
    more = [helper.make_tensor_value_info(f"t{i}", TensorProto.FLOAT, None) for i in range(kept)]
    source.graph.output.extend(more)
    return source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (chain(1_600), r"has 1,60\d operators, more than the 1,500"),
        (chain(600, kept=600), r"has 601 outputs, more than the 512 .*\(--outputs\)"),
        (
            model(
                [node("Tile", ["x", "by"], ["z"]), node("GlobalAveragePool", ["z"], ["y"])],
                {"by": np.int64([1, 1, 100_000, 100_000])},
            ),
            r"the result of Tile 'z' of shape .* has [\d,]+ bytes, more than the 2,147,483,647",
        ),
    ],
    ids=["operators", "outputs", "intermediate result"],
)
def test_networks_that_are_too_large(source: onnx.ModelProto, message: str) -> None:
    with pytest.raises(UserError, match=message):
        dero_tvm.compile(load(source))


def test_windows_of_thousands_of_rows() -> None:
    """Ranges of rows are followed, not each row of each: the time does not grow with a window."""
    length = 3_001
    made = helper.make_model(
        helper.make_graph(
            [node("Conv", ["x", "w"], ["y"], pads=[1_500, 0, 1_500, 0])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, length, 1])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.ones((1, 1, length, 1), "f"), "w")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    model = dero_tvm.compile(load(made), dero="stream")
    assert model.report.arena_bytes <= 2 * 4 * length + 64
    assert "rows are read" in model.report.rows_proof
    image = np.ones((1, 1, length, 1), "f")
    nearest_end = np.minimum(np.arange(length), np.arange(length)[::-1])
    np.testing.assert_array_equal(model.run({"x": image})["y"].ravel(), 1_501 + nearest_end)


# --- constants that are folded ------------------------------------------------------------------


def positions() -> onnx.ModelProto:
    """Positions by a cumulative sum, as exporters write them, and scales of shapes in float."""
    nodes = [
        node("Shape", ["x"], ["shape"], start=2),
        node("Cast", ["shape"], ["sizes"], to=TensorProto.FLOAT),
        node("Mul", ["sizes", "two"], ["doubled"]),
        node("Floor", ["doubled"], ["floored"]),
        node("Cast", ["floored"], ["whole"], to=TensorProto.INT64),
        node("Concat", ["first", "whole"], ["all"], axis=0),
        node("Resize", ["x", "", "", "all"], ["big"], mode="nearest"),
        node("ConstantOfShape", ["all"], ["ones"], value=numpy_helper.from_array(np.float32([1]))),
        node("CumSum", ["ones", "axis"], ["places"]),
        node("Add", ["big", "places"], ["y"]),
    ]
    constants = {"two": np.float32(2), "first": np.int64([1, 2]), "axis": np.int64(2)}
    return model(nodes, constants)


def unsized() -> onnx.ModelProto:
    """The numbers, the sparse tensor and the value of Constant nodes."""
    few = onnx.SparseTensorProto(
        values=numpy_helper.from_array(np.float32([1.5, -2])),
        indices=numpy_helper.from_array(np.int64([[0, 1], [1, 4]])),
        dims=[2, 5],
    )
    few.values.name = "few"
    nodes = [
        node("Constant", [], ["half"], value_float=0.5),
        node("Constant", [], ["to"], value_ints=[1, 2, 1, 5]),
        node("Constant", [], ["sparse"], sparse_value=few),
        node("Reshape", ["sparse", "to"], ["plane"]),
        node("Mul", ["x", "half"], ["a"]),
        node("Add", ["a", "plane"], ["y"]),
    ]
    return model(nodes)


@pytest.mark.parametrize("build", [positions, unsized])
def test_folded(build: Callable[[], onnx.ModelProto]) -> None:
    made = build()
    module = load(made).module
    names = []
    relax.analysis.post_order_visit(
        module["main"],
        lambda e: names.append(e.op.name) if isinstance(e, relax.Call) else None,
    )
    assert set(names) <= {"relax.add", "relax.image.resize2d", "relax.multiply"}
    data = np.random.default_rng(0).standard_normal((1, 2, 5, 5)).astype("float32")
    (actual,) = run_on_host(module, [data])
    np.testing.assert_allclose(actual, run_plainly(made, {"x": data}), rtol=1e-6)
