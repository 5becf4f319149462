"""What TVM's importer would compute otherwise than ONNX defines it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from tests.models.tiny_models import model_of


def model(
    operator: str,
    kind: int = TensorProto.FLOAT,
    constants: dict | None = None,
    **attributes: object,
) -> onnx.ModelProto:
    """A network of one operator of the input ``x`` and of constants, in their order."""
    held = {name: np.asarray(value) for name, value in (constants or {}).items()}
    node = helper.make_node(operator, ["x", *held], ["y"], name="n", **attributes)
    made = model_of([node], {"x": (1, 4, 6, 6)}, {"y": None}, held, kind, opset=18)
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.UNDEFINED
    return made


def with_a_second_output(operator: str, **attributes: object) -> onnx.ModelProto:
    made = model(operator, **attributes)
    made.graph.node[0].output.append("more")
    made.graph.output.append(helper.make_empty_tensor_value_info("more"))
    return made


def resized_by(*scales: float, **attributes: object) -> onnx.ModelProto:
    constants = {"roi": np.zeros(0, "f"), "scales": np.array(scales, "f")}
    return model("Resize", constants=constants, **attributes)


def resized_to(*sizes: int, **attributes: object) -> onnx.ModelProto:
    """With empty scales, as exporters to opset 11 write them."""
    constants = {"roi": np.zeros(0, "f"), "scales": np.zeros(0, "f"), "sizes": np.int64(sizes)}
    return model("Resize", constants=constants, **attributes)


NORM = {name: np.ones(4, "f") for name in ("scale", "shift", "mean", "variance")}
REFUSED = [
    (
        resized_by(1, 1, 0.03, 0.5, mode="linear", antialias=1),
        "Resize (node 'n'): scaling 6 pixels by 0.03 does not give 1 to 16,777,216 pixels",
    ),
    (resized_by(1, 2), "Resize (node 'n'): 2 scales for 4 axes"),
    *(
        (
            resized_by(1, 1, scale, 1),
            f"scaling 6 pixels by {scale:g} does not give 1 to 16,777,216 pixels",
        )
        for scale in (0.1, -2, 3e6, np.inf, np.nan)
    ),
    (
        resized_to(1, 4, 12, 18, keep_aspect_ratio_policy="wider"),
        "Resize (node 'n'): its keep_aspect_ratio_policy 'wider' is not one of ONNX'",
    ),
    (
        resized_by(1, 1, 1, 20_000.3),
        "by half_pixel coordinates and a scale of 20000.3 is supported for up to 65,536",
    ),
    (
        model("SpaceToDepth", blocksize=2, mode="CRD"),
        "SpaceToDepth with a mode other than DCR (node 'n')",
    ),
    (
        with_a_second_output("MaxPool", kernel_shape=[2, 2]),
        "MaxPool with the indices of the maxima as an output (node 'n')",
    ),
    (
        model("BitShift", TensorProto.INT32, {"by": np.int32([32])}, direction="LEFT"),
        "BitShift by less than 0 or by all bits (node 'n')",
    ),
    (
        with_a_second_output("BatchNormalization", constants=NORM),
        "BatchNormalization in training mode; export the model for inference (node 'n')",
    ),
    (
        model("BatchNormalization", constants=NORM, training_mode=1),
        "BatchNormalization in training mode; export the model for inference (node 'n')",
    ),
    (
        model("Dropout", constants={"ratio": np.float32(0.5), "training": np.array(True)}),
        "Dropout in training mode; export the model for inference (node 'n')",
    ),
    (
        model("Mod", constants={"b": np.float32([2])}, fmod=0),
        "the operator Mod (node 'n'): of floating-point numbers it is supported with fmod=1 alone",
    ),
]


@pytest.mark.parametrize(("network", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_refused(network: onnx.ModelProto, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(network, path)
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(caught.value).endswith(reason)


@pytest.mark.parametrize(
    "network",
    [
        resized_by(1, 1, 0.5, 0.5, mode="linear"),
        resized_to(1, 4, 12, 18),
        model("IsInf"),
        model("IsInf", detect_negative=0),
        model("BitShift", TensorProto.INT32, {"by": np.int32([31])}, direction="LEFT"),
        model("Dropout", constants={"ratio": np.float32(0.5), "training": np.array(False)}),
        model("Mod", constants={"b": np.float32([2])}, fmod=1),
        model("Mod", TensorProto.INT32, {"b": np.int32([2])}),
    ],
    ids=lambda network: network.graph.node[0].op_type,
)
def test_taken(network: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(network, path)
    assert [spec.name for spec in load(path).outputs] == ["y"]
