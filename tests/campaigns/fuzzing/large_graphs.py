"""Valid networks that are large in one respect: long, wide, dense, tall, or of great windows.

Every family takes a size and gives an ONNX model that is a few lines of a generator, however large
what it describes.  Each is compiled, or refused, within the limits of time and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 16
_GROWTH = 4  # from one size of a family to the next


class _Graph:
    """Nodes in order; `last` is the result of the latest."""

    def __init__(self, shape: Sequence[int] = (1, 2, 8, 8)) -> None:
        self.shape = list(shape)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.outputs: list[str] = []

    def add(self, operator: str, *operands: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(operands), [name], **attributes))
        return name

    def split(self, data: str, parts: int, axis: int) -> list[str]:
        names = [f"part{index}" for index in range(parts)]
        node = helper.make_node("Split", [data], names, axis=axis, num_outputs=parts)
        self.nodes.append(node)
        return names

    def constant(self, values: object, dtype: str = "float32") -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(values, "int64")

    def convolved(self, data: str, channels: int = 2, kernel: int = 3) -> str:
        weight = self.constant(np.full((channels, channels, kernel, kernel), 0.1))
        return self.add("Conv", data, weight, pads=[kernel // 2] * 4)

    def model(self, *outputs: str) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "large",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            self.constants,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return made.SerializeToString()


def _chain(operator: str) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        graph, data = _Graph(), "x"
        for _ in range(size):
            data = graph.add(operator, data)
        return graph.model(data)

    return make


def _convolutions(size: int) -> bytes:
    graph, data = _Graph(), "x"
    for _ in range(size):
        data = graph.convolved(data)
    return graph.model(data)


def _residual_blocks(size: int) -> bytes:
    graph, data = _Graph(), "x"
    for _ in range(size):
        inner = graph.add("Relu", graph.convolved(data))
        data = graph.add("Add", graph.convolved(inner), data)
    return graph.model(data)


def _far_joins(size: int) -> bytes:
    """Each joins the one before it and the one half as far from the beginning."""
    graph = _Graph()
    found = [graph.add("Sigmoid", "x"), graph.add("Softmax", "x", axis=1)]
    for index in range(2, size):
        found.append(graph.add("Add", found[-1], found[index // 2]))
    return graph.model(found[-1])


def _random_joins(size: int) -> bytes:
    graph, chance = _Graph(), np.random.default_rng(size)
    found = [graph.add("Relu", "x")]
    for index in range(size):
        data = graph.convolved(found[int(chance.integers(max(0, index - 20), index + 1))])
        found.append(graph.add("Add", data, found[int(chance.integers(0, index + 1))]))
    while len(found) > 1:
        found = [*found[2:], graph.add("Add", *found[:2])]
    return graph.model(found[0])


def _dense(size: int) -> bytes:
    """Each reads all before it, as in DenseNet; weights grow with the square of the size."""
    graph, found = _Graph(), ["x"]
    for index in range(min(size, 1024)):
        data = graph.add("Concat", *found, axis=1) if index else "x"
        weight = graph.constant(np.full((2, 2 * len(found), 1, 1), 0.1))
        found.append(graph.add("Conv", data, weight))
    return graph.model(found[-1])


def _branches(size: int) -> list[str | _Graph]:
    graph = _Graph()
    return [graph, *(graph.convolved("x", kernel=1) for _ in range(size))]


def _branches_added(size: int) -> bytes:
    graph, *found = _branches(size)
    total = found[0]
    for other in found[1:]:
        total = graph.add("Add", total, other)
    return graph.model(total)


def _branches_joined(size: int) -> bytes:
    graph, *found = _branches(size)
    while len(found) > 1:  # concatenations of concatenations
        found = [graph.add("Concat", *found[i : i + 8], axis=1) for i in range(0, len(found), 8)]
    return graph.model(found[0])


def _outputs(size: int) -> bytes:
    graph, *found = _branches(size)
    return graph.model(*found)


def _gates(size: int) -> bytes:
    graph, data = _Graph(), "x"
    for _ in range(size):
        gate = graph.convolved(graph.add("GlobalAveragePool", data), kernel=1)
        data = graph.add("Mul", data, graph.add("Sigmoid", gate))
    return graph.model(data)


def _hourglass(size: int) -> bytes:
    """A skip from every level on the way down to the same level on the way up."""
    graph, data = _Graph((1, 2, 2 * size, 2)), "x"
    skips = []
    for _ in range(size.bit_length()):
        data = graph.convolved(data)
        skips.append(data)
        data = graph.add("MaxPool", data, kernel_shape=[2, 1], strides=[2, 1])
    for skip in reversed(skips):
        scales = graph.constant([1, 1, 2, 1])
        data = graph.add("Resize", data, "", scales, mode="nearest")
        data = graph.add("Add", graph.convolved(data), skip)
    return graph.model(data)


def _tall(size: int) -> bytes:
    graph, data = _Graph((1, 1, size, 1)), "x"
    for _ in range(12):
        data = graph.convolved(data, channels=1)
    return graph.model(data)


def _window(size: int) -> bytes:
    graph = _Graph((1, 1, size, 1))
    weight = graph.constant(np.full((1, 1, size // 2 * 2 + 1, 1), 0.1))
    return graph.model(graph.add("Conv", "x", weight, pads=[size // 2, 0, size // 2, 0]))


def _dilated(size: int) -> bytes:
    """Causal convolutions with dilations that double, as for audio."""
    graph, data = _Graph((1, 2, 1, size)), "x"
    for level in range(size.bit_length() - 1):
        weight = graph.constant(np.full((2, 2, 1, 2), 0.1))
        pads = [0, 2**level, 0, 0]
        made = graph.add("Conv", data, weight, dilations=[1, 2**level], pads=pads)
        data = graph.add("Add", graph.add("Relu", made), data)
    return graph.model(data)


def _repeated(operator: str) -> Callable[[int], bytes]:
    """One operator makes much of little, another little of much."""

    def make(size: int) -> bytes:
        graph = _Graph()
        if operator == "Tile":
            data = graph.add("Tile", "x", graph.integers(1, 1, size, size))
        elif operator == "Expand":
            graph.shape = [1, 2, 1, 1]
            data = graph.add("Expand", "x", graph.integers(1, 2, size, size))
        elif operator == "Pad":
            data = graph.add("Pad", "x", graph.integers(0, 0, size, size, 0, 0, size, size))
        else:
            sizes = graph.integers(1, 2, 8 * size, 8 * size)
            data = graph.add("Resize", "x", "", "", sizes, mode="nearest")
        return graph.model(graph.add("GlobalAveragePool", data))

    return make


def _gathered(size: int) -> bytes:
    graph = _Graph()
    places = graph.constant(np.arange(size) % 8, "int64")
    data = graph.add("Gather", "x", places, axis=2)
    return graph.model(graph.add("ReduceSum", data, graph.integers(2)))


def _slices(size: int) -> bytes:
    """Channels, each cut out, in the reverse order."""
    graph = _Graph((1, min(size, 4096), 4, 4))
    parts = graph.split("x", graph.shape[1], axis=1)[::-1]
    while len(parts) > 1:
        parts = [graph.add("Concat", *parts[i : i + 64], axis=1) for i in range(0, len(parts), 64)]
    return graph.model(parts[0])


def _moves(size: int) -> bytes:
    graph, data = _Graph(), "x"
    shape, flat = graph.integers(1, 2, 8, 8), graph.integers(1, 8, 16)
    for index in range(size):
        if index % 2:
            data = graph.add("Reshape", graph.add("Reshape", data, flat), shape)
        else:
            data = graph.add("Transpose", data, perm=[0, 1, 3, 2])
    return graph.model(data)


def _channels(size: int) -> bytes:
    graph = _Graph((1, size, 2, 2))
    scale = graph.constant(np.linspace(0.5, 2, size).reshape(1, size, 1, 1))
    data = graph.add("Mul", "x", scale)
    return graph.model(graph.add("Softmax", data, axis=1))


FAMILIES: dict[str, Callable[[int], bytes]] = {
    "one function after the other": _chain("Relu"),
    "softmax after softmax": _chain("Softmax"),
    "convolutions": _convolutions,
    "residual blocks": _residual_blocks,
    "far joins": _far_joins,
    "random joins": _random_joins,
    "dense": _dense,
    "branches, added": _branches_added,
    "branches, joined": _branches_joined,
    "outputs": _outputs,
    "gates": _gates,
    "hourglass": _hourglass,
    "tall": _tall,
    "window": _window,
    "dilated": _dilated,
    **{f"{name}, then a mean": _repeated(name) for name in ("Tile", "Expand", "Pad", "Resize")},
    "gathered": _gathered,
    "slices": _slices,
    "moves": _moves,
    "channels": _channels,
}


def large_graph(seed: int) -> tuple[str, bytes]:
    """Families take turns; each time round they are larger."""
    rounds, family = divmod(seed, len(FAMILIES))
    return "onnx", list(FAMILIES.values())[family](SMALLEST * _GROWTH**rounds)
