"""Float ONNX models: operators across operator sets, shapes, names, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import ModelPort, load
from tests.compiled.compiled_c import run_in_c
from tests.compiled.host_module import run_on_host
from tests.models.light_models import LIGHT_MODELS, light_model, light_path
from tests.oracles.onnx_session import session

SHAPE = (1, 4, 6, 8)
INT8 = TensorProto.INT8


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    shape: Sequence[int | str] = SHAPE,
    opset: int = 13,
    name: str = "graph",
) -> onnx.ModelProto:
    """A graph from float "x" to float "y"."""
    graph = helper.make_graph(
        list(nodes),
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def ints(*values: int) -> np.ndarray:
    return np.array(values, "int64")


def floats(*values: float) -> np.ndarray:
    return np.array(values, "float32")


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def run_onnx(model: onnx.ModelProto, x: np.ndarray, name: str = "x") -> np.ndarray:
    return session(model).run(None, {name: x})[0]


node = helper.make_node

OPERATORS = {
    "upsample-7": model_of([node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 2.0])], opset=7),
    "upsample-9": model_of(
        [node("Upsample", ["x", "s"], ["y"])], {"s": floats(1, 1, 2, 2)}, opset=9
    ),
    "resize-10": model_of([node("Resize", ["x", "s"], ["y"])], {"s": floats(1, 1, 2, 3)}, opset=10),
    "slice-9": model_of([node("Slice", ["x"], ["y"], starts=[1], ends=[5], axes=[2])], opset=9),
    "slice-10": model_of(
        [node("Slice", ["x", "b", "e", "a", "s"], ["y"])],
        {"b": ints(1, -1), "e": ints(100, -100), "a": ints(2, 3), "s": ints(2, -3)},
        opset=10,
    ),
    "pad-2": model_of(
        [node("Pad", ["x"], ["y"], pads=[0, 0, 1, 2, 0, 0, 3, 0], value=1.5)], opset=9
    ),
    "clip-6": model_of([node("Clip", ["x"], ["y"], min=0.0, max=0.5)], opset=7),
    "parts-without-elements": model_of(
        [
            node("Slice", ["x", "end", "end", "axis"], ["none"]),
            node("Relu", ["none"], ["still none"]),
            node("Split", ["x", "lengths"], ["left", "all", "right"], axis=3),
            node("Concat", ["left", "all", "still none"], ["joined"], axis=3),
            node("ReduceSum", ["none", "axis"], ["sums"]),
            node("ReduceProd", ["none"], ["products"], axes=[3]),
            node("Transpose", ["none"], ["turned"], perm=[0, 1, 3, 2]),
            node("MatMul", ["none", "turned"], ["dots"]),
            node("Pad", ["none", "amounts", "value"], ["padded"]),
            node("Concat", ["joined", "x", "sums", "products", "dots", "padded"], ["y"], axis=3),
        ],
        {
            "end": ints(8),
            "axis": ints(3),
            "lengths": ints(0, 8, 0),
            "amounts": ints(0, 0, 0, 1, 0, 0, 0, 2),
            "value": np.float32(1.5),
        },
    ),
    "softmax-9-over-several-axes": model_of([node("Softmax", ["x"], ["y"], axis=2)], opset=9),
    "softmax-13": model_of([node("Softmax", ["x"], ["y"], axis=1)]),
    "conv-same-lower": model_of(
        [node("Conv", ["x", "w"], ["y"], strides=[2, 2], auto_pad="SAME_LOWER")],
        {"w": random(5, 4, 3, 2)},
        shape=(1, 4, 7, 8),
    ),
    "average-pool-ceil": model_of(
        [
            node(
                "AveragePool",
                ["x"],
                ["y"],
                kernel_shape=[3, 3],
                strides=[2, 2],
                ceil_mode=1,
                pads=[1, 1, 1, 1],
            )
        ],
        shape=(1, 4, 8, 8),
    ),
    "average-pool-windows-in-the-padding": model_of(
        [
            node(
                *("AveragePool", ["x"], ["y"]),
                kernel_shape=[3, 2],
                dilations=[1, 2],
                pads=[2, 1, 0, 1],
            )
        ],
        shape=(1, 4, 2, 1),
        opset=19,
    ),
    "resize-corners-to-one-row": model_of(
        [
            node(
                *("Resize", ["x", "", "", "s"], ["y"]),
                mode="linear",
                coordinate_transformation_mode="align_corners",
            )
        ],
        {"s": ints(1, 4, 1, 5)},
    ),
    "resize-corners-to-one-pixel": model_of(
        [
            node(
                *("Resize", ["x", "", "", "s"], ["y"]),
                mode="cubic",
                coordinate_transformation_mode="align_corners",
            )
        ],
        {"s": ints(1, 4, 1, 1)},
    ),
    "reduce-mean-18": model_of(
        [node("ReduceMean", ["x", "a"], ["y"])], {"a": ints(2, 3)}, opset=18
    ),
    "split-18": model_of(
        [
            node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2),
            node("Concat", ["b", "a"], ["y"], axis=1),
        ],
        opset=18,
    ),
    # As networks without normalization write their weights, of any size.
    "weights-normalized-by-their-own-statistics": model_of(
        [
            node(
                *("BatchNormalization", ["w", "g", "b", "m", "v"], ["n", "m1", "v1"]),
                training_mode=1,
                epsilon=1e-3,
            ),
            node("Reshape", ["n", "s"], ["k"]),
            node("Conv", ["x", "k"], ["y"]),
        ],
        {
            "w": random(1, 256, 192) * 3 + 1,
            **{name: np.full(256, value, "float32") for name, value in zip("gbmv", (0.1, 0, 0, 1))},
            "s": ints(256, 4, 6, 8),
        },
        opset=15,
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_agrees_with_onnxruntime(name: str) -> None:
    model = OPERATORS[name]
    loaded = load(model)
    x = np.random.default_rng(1).standard_normal(loaded.inputs[0].shape).astype("float32")
    expected = run_onnx(model, x)
    assert loaded.outputs == (ModelPort("y", expected.shape, "float32"),)
    (computed,) = run_in_c(loaded, [x])
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)
    if not name.startswith("resize-corners"):  # where TVM itself divides by zero
        (imported,) = run_on_host(loaded.module, [x])
        np.testing.assert_allclose(imported, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_light_model_imports(name: str) -> None:
    """IR version 3: their initializers are listed as inputs, and must not become inputs."""
    loaded = load(light_path(name))
    assert loaded.name == name
    assert len(loaded.inputs) == 1
    assert loaded.inputs[0].shape == (1, 3, 224, 224)
    assert len(loaded.module["main"].params) == 1
    assert loaded.outputs[0].shape[:2] == (1, 1000)


def test_light_model_with_weights_agrees_with_onnxruntime() -> None:
    model = light_model("light_squeezenet")
    loaded = load(model)
    (image,) = loaded.inputs
    x = np.random.default_rng(1).standard_normal(image.shape).astype("float32")
    expected = run_onnx(model, x, image.name)
    (computed,) = run_on_host(loaded.module, [x])
    assert 0.001 < expected.max() < 0.9, "a saturated softmax would hide what comes before it"
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4 * expected.max())


def flattening() -> onnx.ModelProto:
    """What PyTorch exports for x.flatten(1) with an open batch."""
    return model_of(
        [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["batch"]),
            node("Unsqueeze", ["batch", "axis"], ["batch_1"]),
            node("Concat", ["batch_1", "rest"], ["target"], axis=0),
            node("Reshape", ["x", "target"], ["y"]),
        ],
        {"zero": np.array(0), "axis": ints(0), "rest": ints(-1)},
        shape=("batch", 4, 6, 8),
    )


def test_open_dimension_is_bound() -> None:
    loaded = load(flattening(), input_shapes={"x": (3, 4, 6, 8)})
    assert loaded.inputs == (ModelPort("x", (3, 4, 6, 8), "float32"),)
    assert loaded.outputs == (ModelPort("y", (3, 192), "float32"),)


def test_symbol_bound_by_one_input_holds_for_the_others() -> None:
    graph = helper.make_graph(
        [node("Add", ["a", "b"], ["y"])],
        "two",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ("n", 3)) for n in "ab"],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 3))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    loaded = load(model, input_shapes={"a": (5, 3)})
    assert [spec.shape for spec in loaded.inputs] == [(5, 3), (5, 3)]
    with pytest.raises(UserError, match="'n' two sizes, 5 and 4"):
        load(model, input_shapes={"a": (5, 3), "b": (4, 3)})


def test_names_that_relax_changes_are_kept() -> None:
    graph = helper.make_graph(
        [node("Relu", ["data/in.0:0"], ["2"])],
        "names",
        [helper.make_tensor_value_info("data/in.0:0", TensorProto.FLOAT, (2, 3))],
        [helper.make_tensor_value_info("2", TensorProto.FLOAT, (2, 3))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    loaded = load(model)
    assert [spec.name for spec in (*loaded.inputs, *loaded.outputs)] == ["data/in.0:0", "2"]
    assert loaded.name == "names"


def test_local_functions_are_inlined() -> None:
    double = helper.make_function(
        "own",
        "Double",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 13)],
    )
    graph = helper.make_graph(
        [node("Double", ["x"], ["y"], domain="own")],
        "functions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2,))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2,))],
    )
    model = helper.make_model(
        graph,
        functions=[double],
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("own", 1)],
        ir_version=8,
    )
    x = floats(1, 2)
    np.testing.assert_array_equal(run_in_c(load(model), [x])[0], 2 * x)


def test_the_given_model_is_not_changed() -> None:
    model = flattening()
    before = model.SerializeToString()
    load(model, input_shapes={"x": (1, 4, 6, 8)})
    assert model.SerializeToString() == before


def with_external_weight(folder: Path, location: str, data_at: Path) -> Path:
    weight = random(5, 4, 1, 1)
    data_at.parent.mkdir(parents=True, exist_ok=True)
    data_at.write_bytes(weight.tobytes())
    model = model_of([node("Conv", ["x", "w"], ["y"])], {"w": weight})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    path = with_external_weight(tmp_path, "data/w.bin", tmp_path / "data" / "w.bin")
    x = random(*SHAPE)
    (computed,) = run_in_c(load(path), [x])
    expected = run_onnx(model_of([node("Conv", ["x", "w"], ["y"])], {"w": random(5, 4, 1, 1)}), x)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("absolute", [False, True])
def test_external_data_must_not_leave_the_folder(tmp_path: Path, absolute: bool) -> None:
    outside = tmp_path / "outside.bin"
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_external_weight(folder, str(outside) if absolute else "../outside.bin", outside)
    with pytest.raises(UserError, match="outside the model's folder"):
        load(path)


def test_external_data_through_a_link_must_not_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_external_weight(folder, "w.bin", tmp_path / "outside.bin")
    (folder / "w.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(UserError, match="outside the model's folder"):
        load(path)


def test_external_data_that_is_missing_or_short(tmp_path: Path) -> None:
    path = with_external_weight(tmp_path, "w.bin", tmp_path / "w.bin")
    (tmp_path / "w.bin").write_bytes(b"1234")
    with pytest.raises(UserError, match=r"model\.onnx"):
        load(path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(UserError, match="'w.bin', which does not exist beside the model"):
        load(path)
    with pytest.raises(UserError, match="load the model by its path"):
        load(path.read_bytes())
