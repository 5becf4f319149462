"""The ``light_*`` models that ship with the onnx package, given seeded random weights.

They are whole networks (ResNet-50, DenseNet-121, ...) whose weights were replaced by
ConstantOfShape nodes to keep the files small.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LIGHT_MODELS = tuple(sorted(path.stem for path in FOLDER.glob("light_*.onnx")))

# Consumer and input position -> range of a uniform distribution.
_RANGES = {
    ("BatchNormalization", 1): (0.5, 1.0),
    ("BatchNormalization", 2): (-0.1, 0.1),
    ("BatchNormalization", 3): (-0.1, 0.1),
    ("BatchNormalization", 4): (0.8, 1.2),
    ("Conv", 2): (-0.1, 0.1),
    ("Gemm", 2): (-0.1, 0.1),
    ("Mul", 1): (0.5, 1.0),
    ("Add", 1): (-0.1, 0.1),
}


def light_path(name: str) -> Path:
    """The file of a light model, e.g. ``light_resnet50``."""
    return FOLDER / f"{name}.onnx"


def light_model(name: str, seed: int = 0) -> onnx.ModelProto:
    """A light model with random weights as initializers, and a softmax that is not saturated."""
    model = onnx.load(light_path(name))
    graph = model.graph
    rng = np.random.default_rng(seed)
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    uses: dict[str, tuple[str, int]] = {}
    for node in graph.node:
        for position, tensor in enumerate(node.input):
            uses.setdefault(tensor, (node.op_type, position))
    through = {
        node.input[0]: node.output[0]
        for node in graph.node
        if node.op_type in ("Reshape", "Unsqueeze")
    }

    kept, gone = [], set()
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        shape = tuple(int(n) for n in shapes[node.input[0]])
        output = node.output[0]
        use = uses[through.get(output, output)]
        weights = _weights(rng, use, shape)
        graph.initializer.append(numpy_helper.from_array(weights, output))
        # Up to IR version 3 an initializer has to be listed as an input as well.
        graph.input.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape))
        gone.add(node.input[0])
    del graph.node[:]
    graph.node.extend(kept)
    for listed in (graph.initializer, graph.input):
        remaining = [item for item in listed if item.name not in gone]
        del listed[:]
        listed.extend(remaining)
    _spread_logits(model, seed)
    return model


def _spread_logits(model: onnx.ModelProto, seed: int) -> None:
    """Scale the last weights so that the logits of a random image have a deviation of 2.

    Without it the softmax is 1 for one class, whatever the network before it computes.
    """
    graph = model.graph
    softmax = next((node for node in graph.node if node.op_type == "Softmax"), None)
    if softmax is None:
        return
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(
        helper.make_tensor_value_info(softmax.input[0], onnx.TensorProto.FLOAT, None)
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    images = [value for value in session.get_inputs() if value.name not in weights]
    rng = np.random.default_rng(seed)
    feed = {value.name: rng.standard_normal(value.shape, "float32") for value in images}
    (logits,) = session.run(None, feed)

    factor = np.float32(2 / logits.std())
    last = next(node for node in reversed(graph.node) if node.op_type in ("Gemm", "Conv"))
    origin = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Reshape"}
    name = origin.get(last.input[1], last.input[1])
    scaled = numpy_helper.to_array(weights[name]) * factor
    weights[name].CopyFrom(numpy_helper.from_array(scaled, name))


def _weights(rng: np.random.Generator, use: tuple[str, int], shape: tuple[int, ...]) -> np.ndarray:
    if use in _RANGES:
        return rng.uniform(*_RANGES[use], shape).astype("float32")
    if use not in {("Conv", 1), ("Gemm", 1)}:
        raise ValueError(f"no rule for a constant that is input {use[1]} of {use[0]}")
    fan_in = shape[-1] if use[0] == "Gemm" else math.prod(shape[1:])
    return rng.standard_normal(shape, "float32") * np.float32(math.sqrt(2 / fan_in))
