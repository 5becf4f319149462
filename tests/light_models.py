"""The ``light_*`` models that ship with the onnx package, given seeded random weights.

They are whole networks (ResNet-50, DenseNet-121, ...) whose weights were replaced by
ConstantOfShape nodes to keep the files small.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

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
    """A light model with random weights as initializers, scaled to keep activations near 1."""
    model = onnx.load(light_path(name))
    graph = model.graph
    rng = np.random.default_rng(seed)
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    uses: dict[str, tuple[str, int]] = {}
    for node in graph.node:
        for position, tensor in enumerate(node.input):
            uses.setdefault(tensor, (node.op_type, position))
    through = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Unsqueeze"}

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
        gone.add(node.input[0])
    del graph.node[:]
    graph.node.extend(kept)
    for listed in (graph.initializer, graph.input):
        remaining = [item for item in listed if item.name not in gone]
        del listed[:]
        listed.extend(remaining)
    return model


def _weights(rng: np.random.Generator, use: tuple[str, int], shape: tuple[int, ...]) -> np.ndarray:
    if use in _RANGES:
        return rng.uniform(*_RANGES[use], shape).astype("float32")
    if use not in {("Conv", 1), ("Gemm", 1)}:
        raise ValueError(f"no rule for a constant that is input {use[1]} of {use[0]}")
    fan_in = math.prod(shape[1:])
    return rng.standard_normal(shape, "float32") * np.float32(math.sqrt(2 / fan_in))
