"""Random convolutions, poolings and resizings of ONNX, compiled to C, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.boundary.errors import UserError
from tests.compiled.c_batch import CBatch, streamed_program
from tests.frontends.onnx_runtime import run_plainly
from tests.random_cases import cases

_TOGETHER = 24  # models in a C file
_REFUSED = (
    "ONNX defines the SAME",
    "does not give 1 to",
    "to crop",
)


def model_of(
    operator: str,
    shape: tuple[int, ...],
    constants: list[np.ndarray | None],
    attributes: dict[str, Any],
    opset: int,
) -> onnx.ModelProto:
    names = [f"c{i}" if value is not None else "" for i, value in enumerate(constants)]
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in attributes.items()}
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], ["y"], **plain)],
        "window",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [int(n) for n in shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, n) for n, v in zip(names, constants) if v is not None],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def window(rng: np.random.Generator) -> onnx.ModelProto:
    """A convolution or pooling with any of its attributes."""
    operator = str(rng.choice(["AveragePool", "Conv", "ConvTranspose", "LpPool", "MaxPool"]))
    rank = int(rng.choice([1, 2, 2, 2]))
    opset = int(rng.choice([11, 18, 19, 22]))
    kernel = rng.integers(1, 5, rank)
    shape = (1, 2, *rng.integers(int(rng.choice([1, 4])), 10, rank))
    attributes: dict[str, Any] = {"kernel_shape": kernel}
    if rng.random() < 0.8:
        attributes["strides"] = rng.integers(1, 5, rank)
    since = {"AveragePool": 19, "LpPool": 18}.get(operator, 11)
    if opset >= since and rng.random() < 0.3:
        attributes["dilations"] = rng.integers(1, 3, rank)
    pooling = "Pool" in operator
    if pooling and (operator != "LpPool" or opset >= 18) and rng.random() < 0.5:
        attributes["ceil_mode"] = 1
    if operator == "AveragePool" and rng.random() < 0.5:
        attributes["count_include_pad"] = 1
    if operator == "LpPool" and rng.random() < 0.5:
        attributes["p"] = int(rng.integers(1, 4))
    rule = str(rng.choice(["", "NOTSET", "SAME_LOWER", "SAME_UPPER", "VALID"]))
    if rule:
        attributes["auto_pad"] = rule
    if rule in ("", "NOTSET") and rng.random() < 0.8:
        attributes["pads"] = rng.integers(0, np.maximum(np.tile(kernel, 2), 1))
    constants: list[np.ndarray | None] = []
    if not pooling:
        weight = rng.standard_normal((2, 3, *kernel) if "T" in operator else (3, 2, *kernel))
        constants = [weight.astype("float32")]
        if rng.random() < 0.5:
            constants.append(rng.standard_normal(3).astype("float32"))
    if operator == "ConvTranspose":
        stride = attributes.get("strides", np.ones(rank, int))
        if rule in ("", "NOTSET") and rng.random() < 0.3:
            attributes.pop("pads", None)
            span = (kernel - 1) * attributes.get("dilations", 1) + 1
            natural = (np.array(shape[2:]) - 1) * stride + span
            attributes["output_shape"] = natural - rng.integers(0, span)
        elif rng.random() < 0.3:
            attributes["output_padding"] = rng.integers(0, stride)
    return model_of(operator, shape, constants, attributes, opset)


def resizing(rng: np.random.Generator) -> onnx.ModelProto:
    """A Resize or Upsample of any operator set, by any scales or to sizes."""
    rank = int(rng.choice([3, 4, 4, 4, 5]))
    shape = (1, 2, *(int(n) for n in rng.integers(1, 7, rank - 2)))
    mode = str(rng.choice(["cubic", "linear", "nearest"]) if rank == 4 else "nearest")
    opset = int(rng.choice([7, 9, 10, 11, 13, 18, 19, 19]))
    if mode == "cubic":
        opset = max(opset, 11)
    if rng.random() < 0.5:
        sizes = rng.integers(1, 13, rank - 2)
    else:
        sizes = np.array(shape[2:]) * rng.integers(1, 4, rank - 2)
    factors = sizes / np.array(shape[2:])
    if rng.random() < 0.3:
        factors = rng.uniform(0.3, 2.7, rank - 2)
    scales = np.concatenate([[1, 1], factors]).astype("float32")
    if opset < 11:
        if opset < 10:
            scales = np.maximum(scales, 1)
        if opset == 7:
            listed = {"scales": [float(scale) for scale in scales]}
            return model_of("Upsample", shape, [], {"mode": mode, **listed}, opset)
        operator = "Upsample" if opset < 10 else "Resize"
        return model_of(operator, shape, [scales], {"mode": mode}, opset)
    attributes: dict[str, Any] = {"mode": mode}
    coordinates = ["align_corners", "asymmetric", "half_pixel", "pytorch_half_pixel"]
    more = ["tf_crop_and_resize", "tf_half_pixel_for_nn"] + ["half_pixel_symmetric"] * (opset > 18)
    attributes["coordinate_transformation_mode"] = str(rng.choice(coordinates + more))
    if mode == "nearest":
        roundings = ["ceil", "floor", "round_prefer_ceil", "round_prefer_floor"]
        attributes["nearest_mode"] = str(rng.choice(roundings))
    region = np.zeros(0, "float32")
    if attributes["coordinate_transformation_mode"] == "tf_crop_and_resize":
        ends = rng.uniform(-0.2, 1.2, (2, rank - 2))
        region = np.pad(ends, [(0, 0), (2, 0)]).astype("float32").reshape(-1)
        attributes["extrapolation_value"] = 1.5
    elif opset > 17 and mode != "nearest" and rng.random() < 0.5:
        attributes["antialias"] = 1
    if mode == "cubic" or "antialias" in attributes:
        attributes["exclude_outside"] = int(rng.integers(0, 2))
        attributes["cubic_coeff_a"] = float(rng.choice([-0.75, -0.5]))
    wanted = np.array([1, 2, *sizes], "int64")
    if opset >= 18 and rng.random() < 0.6 and not region.size:
        attributes["axes"] = list(range(2, rank))
        scales, wanted = scales[2:], wanted[2:]
        if rng.random() < 0.7:
            policy = str(rng.choice(["not_larger", "not_smaller", "stretch"]))
            attributes["keep_aspect_ratio_policy"] = policy
    if rng.random() < 0.5:
        return model_of("Resize", shape, [region, scales], attributes, opset)
    return model_of("Resize", shape, [region, np.zeros(0, "f"), wanted], attributes, opset)


Maker = Callable[[np.random.Generator], onnx.ModelProto]


def compare(make: Maker, seeds: list[int], folder: Path) -> None:
    """All models that ONNX Runtime takes, in one C file."""
    batch, expected, kinds = CBatch(), {}, {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        model = make(rng)
        shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
        data = {"x": rng.standard_normal(shape).astype("float32")}
        wanted = run_plainly(model, data)
        name = f"n{seed}"
        if wanted is None or wanted.size == 0 or name in expected or departs(model):
            continue
        what = f"seed {seed}: {helper.printable_graph(model.graph)}"
        try:
            batch.add(name, streamed_program(model))
        except UserError as error:
            assert any(reason in str(error) for reason in _REFUSED), f"{what}\n{error}"
            continue
        expected[name] = data, wanted
        kinds[name] = what
    if not expected:
        return
    library = batch.build(Path(mkdtemp(dir=folder)))
    for name, (data, wanted) in expected.items():
        actual = library.run(name, data)[0]["y"]
        assert actual.shape == wanted.shape, f"{kinds[name]}: {actual.shape}, not {wanted.shape}"
        close = np.isclose(actual, wanted, rtol=1e-4, atol=1e-4)
        assert close.all(), f"{kinds[name]}: {np.sum(~close)} of {close.size} differ"


def departs(model: onnx.ModelProto) -> bool:
    """Where ONNX Runtime computes otherwise than ONNX defines: it pads by less than nothing."""
    (node,) = model.graph.node
    found = {attr.name: helper.get_attribute_value(attr) for attr in node.attribute}
    same = found.get("auto_pad", b"").startswith(b"SAME")
    beyond = np.any(np.array(found.get("strides", 1)) > np.array(found.get("kernel_shape", 1)))
    return bool("Pool" in node.op_type and same and beyond)


_SEEDS = st.lists(st.integers(0, 1 << 32), min_size=_TOGETHER, max_size=_TOGETHER)

_PHASES = (Phase.generate,)  # a failure names its seed; fewer seeds would not say more


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("windows")


@given(_SEEDS)
@settings(cases(2), phases=_PHASES)
def test_windows(folder: Path, seeds: list[int]) -> None:
    compare(window, seeds, folder)


@given(_SEEDS)
@settings(cases(2), phases=_PHASES)
def test_resizing(folder: Path, seeds: list[int]) -> None:
    compare(resizing, seeds, folder)


@pytest.mark.parametrize("opset", [13, 22])
@pytest.mark.parametrize("operator", ["AveragePool", "LpPool", "MaxPool"])
def test_windows_that_begin_in_the_padding_are_not_counted(operator: str, opset: int) -> None:
    """Before set 22 ONNX's inference counts them, and so do shapes that tools write into files."""
    attributes = {"kernel_shape": [2], "strides": [3], "pads": [1, 1], "ceil_mode": 1}
    if operator == "LpPool" and opset < 18:
        pytest.skip("it has no ceil_mode in this set")
    model = model_of(operator, (1, 1, 5), [], attributes, opset)
    model.graph.node.append(helper.make_node("Relu", ["y"], ["z"]))
    model.graph.output[0].name = "z"
    declared = onnx.shape_inference.infer_shapes(model)
    network = streamed_program(declared).network
    data = {"x": np.ones((1, 1, 5), "float32")}
    assert network.values[network.outputs[0].value].spec.shape == run_plainly(model, data).shape


@pytest.mark.parametrize(
    ("operator", "rule", "stride", "taken"),
    [
        ("AveragePool", "SAME_LOWER", 2, True),  # the eighth element alone is left out
        ("AveragePool", "SAME_LOWER", 4, False),
        ("Conv", "SAME_LOWER", 4, True),
        ("Conv", "SAME_UPPER", 3, True),
        ("Conv", "SAME_UPPER", 4, False),
        ("LpPool", "SAME_UPPER", 4, False),
        ("MaxPool", "SAME_UPPER", 4, True),
    ],
)
def test_padding_by_less_than_nothing(operator: str, rule: str, stride: int, taken: bool) -> None:
    weight = [np.ones((1, 1, 1), "float32")] if operator == "Conv" else []
    attributes = {"kernel_shape": [1], "strides": [stride], "auto_pad": rule}
    model = model_of(operator, (1, 1, 8), weight, attributes, 17)
    if taken:
        assert streamed_program(model).network.outputs
    else:
        with pytest.raises(UserError, match=f"ONNX defines the {rule} padding of 8 elements"):
            streamed_program(model)
