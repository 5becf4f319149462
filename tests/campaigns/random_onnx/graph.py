"""An ONNX graph under construction, of which every value is known.

    graph = Graph(seed=7, opset=18)
    x = graph.input((1, 3, 8, 8))
    y = graph.emit("Conv", x, graph.weights((4, 3, 3, 3)), pads=[1, 1, 1, 1])
    model = graph.model([y])

ONNX Runtime computes each node as it is added, so that shapes need no rules of their own, and a
node that it cannot compute, or whose result no comparison could be made with, never gets in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.oracles.onnx_session import session

MOST_AXES = 5
LARGEST = 2000  # elements of a tensor
GREATEST = 100.0  # magnitude of an element: rounding errors would grow beyond it


class Unfit(Exception):
    """What was to be added does not suit the network."""


class Graph:
    """Nodes, constants, and what ONNX Runtime computed for one set of inputs."""

    def __init__(self, seed: int, opset: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}
        self.inputs: list[str] = []
        self.tensors: list[str] = []  # float32, in the order of their making; inputs first

    # --- tensors -----------------------------------------------------------------------------

    def input(self, shape: Sequence[int]) -> str:
        """A new float32 input."""
        name = f"input_{len(self.inputs)}"
        self.inputs.append(name)
        self.tensors.append(name)
        self.values[name] = self.numbers.standard_normal(shape).astype("float32")
        return name

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """A new initializer."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = self.values[name] = np.asarray(value, dtype)
        return name

    def integers(self, *values: int) -> str:
        """A vector of int64."""
        return self.constant(values, "int64")

    def weights(self, shape: Sequence[int]) -> str:
        """Random numbers that keep the magnitude of what they are multiplied with."""
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.constant(self.numbers.standard_normal(shape) / fan_in**0.5)

    def vector(self, shape: Sequence[int], low: float = -1.0, high: float = 1.0) -> str:
        """Random numbers between two."""
        return self.constant(self.numbers.uniform(low, high, shape))

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.values[tensor].shape

    def rank(self, tensor: str) -> int:
        return self.values[tensor].ndim

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, fits: Callable[[str], bool] = lambda tensor: True) -> str:
        """A tensor with axes, most likely one of the latest."""
        known = [tensor for tensor in self.tensors if self.rank(tensor) and fits(tensor)]
        if not known:
            raise Unfit("no such tensor")
        return known[-1 - min(int(self.random.expovariate(0.7)), len(known) - 1)]

    # --- nodes -------------------------------------------------------------------------------

    def emit(self, operator: str, *operands: str, **attributes: Any) -> str:
        """A node of one result."""
        return self.emit_several(operator, 1, *operands, **attributes)[0]

    def emit_several(self, operator: str, count: int, *operands: str, **attributes: Any):
        """A node of `count` results.  Raises :class:`Unfit`."""
        number = len(self.nodes)
        names = [f"{operator.lower()}_{number}" + f"_{i}" * (count > 1) for i in range(count)]
        node = helper.make_node(operator, operands, names, f"node_{number}", **attributes)
        given = {name: self.values[name] for name in operands if name}
        try:
            results = session(self._model_of([node], given, names)).run(names, given)
        except Exception as error:  # ONNX Runtime has a type of its own for each of its faults
            raise Unfit(f"{operator}: {error}") from None
        for result in results:
            if not 0 < result.size <= LARGEST or result.ndim > MOST_AXES:
                raise Unfit(f"{operator}: a result of shape {result.shape}")
            if result.dtype == np.float32 and not np.abs(result).max() <= GREATEST:
                raise Unfit(f"{operator}: too great or NaN")
        self.nodes.append(node)
        self.values.update(zip(names, results))
        self.tensors += [name for name in names if self.values[name].dtype == np.float32]
        return names

    def attempt(self, add: Callable[[], Any]) -> bool:
        """Call `add`; if what it makes does not suit, nothing of it stays."""
        nodes, tensors = len(self.nodes), len(self.tensors)
        try:
            add()
        except Unfit:
            del self.nodes[nodes:]
            del self.tensors[tensors:]
            return False
        return True

    # --- the model ---------------------------------------------------------------------------

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The network of what has been emitted, without what no output needs."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed.update(node.input)
                nodes.append(node)
        given = {name: self.values[name] for name in self.inputs if name in needed}
        constants = {name: a for name, a in self.constants.items() if name in needed}
        return self._model_of(nodes[::-1], given, outputs, constants)

    def _model_of(
        self,
        nodes: Sequence[onnx.NodeProto],
        given: dict[str, np.ndarray],
        outputs: Sequence[str],
        constants: dict[str, np.ndarray] | None = None,
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            nodes,
            "random",
            [_port(name, value) for name, value in given.items()],
            [
                _port(name, self.values[name]) if name in self.values else _open_port(name)
                for name in outputs
            ],
            [numpy_helper.from_array(a, name) for name, a in (constants or {}).items()],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _port(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)


def _open_port(name: str) -> onnx.ValueInfoProto:
    return helper.make_empty_tensor_value_info(name)
