"""Constants of an ONNX graph: looking them up and adding some under new names."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from .graph_nodes import operands_of


class Constants:
    """The tensors of `graph` whose values are known, whether initializers or Constant nodes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._protos = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._protos[node.output[0]] = attribute.t
        self.initial_elements = sum(map(self.size, self._protos))
        self._numbers: dict[str, int] = {}  # how far names that begin alike have come
        self._taken = set(self._protos) | {value.name for value in graph.input}
        for node in graph.node:
            self._taken.update(node.output)

    def __contains__(self, name: str) -> bool:
        return name in self._protos

    def value(self, name: str) -> np.ndarray | None:
        """The values of the tensor `name`, or None if they are computed."""
        proto = self._protos.get(name)
        return None if proto is None else numpy_helper.to_array(proto)

    def tensor(self, name: str, most: int) -> onnx.TensorProto | None:
        """The tensor `name` if it is known and has at most `most` elements."""
        proto = self._protos.get(name)
        return proto if proto is not None and self.size(name) <= most else None

    def size(self, name: str) -> int:
        """Elements of the tensor `name`; 0 if it is computed."""
        proto = self._protos.get(name)
        return 0 if proto is None else prod(proto.dims)

    def element_type(self, name: str) -> int | None:
        """The ONNX number of its element type, or None if it is computed."""
        proto = self._protos.get(name)
        return None if proto is None else proto.data_type

    def add(self, hint: str, value: np.ndarray) -> str:
        """Add an initializer; its name, which begins with `hint`."""
        name = self.fresh(hint)
        self.define(name, value)
        return name

    def define(self, name: str, value: np.ndarray) -> None:
        """Add an initializer under a name that nothing else defines, or will from now on."""
        self.hold(numpy_helper.from_array(np.asarray(value, order="C"), name))

    def hold(self, tensor: onnx.TensorProto) -> None:
        """Add a tensor as an initializer, as `define` does."""
        self._graph.initializer.append(tensor)
        self._protos[tensor.name] = tensor

    def drop_unread(self, names: set[str]) -> None:
        """Remove those initializers among `names` that no node reads."""
        read = {name for node in self._graph.node for name in operands_of(node)}
        dropped = {*names} - read - {value.name for value in self._graph.output}
        initializers = self._graph.initializer
        for position in reversed(range(len(initializers))):
            if initializers[position].name in dropped:
                del initializers[position]
        for name in dropped:
            del self._protos[name]

    def fresh(self, hint: str) -> str:
        """A tensor name that the graph does not use yet."""
        name, number = hint, self._numbers.get(hint, 0)
        while name in self._taken:
            number += 1
            name = f"{hint}_{number}"
        self._numbers[hint] = number
        self._taken.add(name)
        return name
