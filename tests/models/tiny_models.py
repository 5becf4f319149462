"""Small ONNX models that a test compiles in a second or two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Dims = Sequence[int | str | None]


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Write `model` to `path`."""
    path.write_bytes(model.SerializeToString())
    return path


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Dims],
    outputs: dict[str, Dims],
    constants: dict[str, np.ndarray] | None = None,
    kind: int = TensorProto.FLOAT,
    opset: int = 13,
) -> onnx.ModelProto:
    """A model of these nodes; all inputs and outputs are of type `kind`."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, kind, dims) for name, dims in inputs.items()],
        [helper.make_tensor_value_info(name, kind, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def residual(
    *,
    size: int = 8,
    channels: int = 4,
    batch: int | str = 1,
    image: str = "image",
    scores: str = "scores",
    inner: Sequence[str] = ("a", "b", "c", "d"),
    spatial: bool = False,
) -> onnx.ModelProto:
    """Two convolutions with a skip connection, float32, NCHW; names of tensors as given.

    The image is read by an activation, or if `spatial` by a convolution.
    """
    rng = np.random.default_rng(0)
    weights = {
        f"{name}.weight": rng.standard_normal((channels, channels, 3, 3)).astype("float32") / 8
        for name in ("first", "second", *(["start"] if spatial else []))
    }
    a, b, c, d = inner
    start = ("Conv", [image, "start.weight"]) if spatial else ("Relu", [image])
    nodes = [
        helper.make_node(*start, [a], name="start", **({"pads": [1] * 4} if spatial else {})),
        helper.make_node("Conv", [a, "first.weight"], [b], name="one", pads=[1] * 4),
        helper.make_node("Relu", [b], [c], name="middle"),
        helper.make_node("Conv", [c, "second.weight"], [d], name="two", pads=[1] * 4),
        helper.make_node("Add", [d, a], [scores], name="join"),
    ]
    shape = (batch, channels, size, size)
    return model_of(nodes, {image: shape}, {scores: shape}, weights)
