"""The sum of two averages becomes the average of the sum, before a network is quantized.

    Add(mean(a), mean(b))      ->   mean(Add(a, b))
    Add(mean(a), f(mean(b)))   ->   mean(Add(a, f(b)))

`mean` is an average over the image, or of windows that stay inside it; `f` is a chain of batch
norms and of factors and summands for each channel, that nothing else reads.  A reorganized network
averages its main path and its last shortcut apart, and both of a pair at the transitions of a
DenseNet.  Quantized so, each average is rounded to a scale of its own, and the shortcut is a tensor
that has to be kept.  With the addition in front, that shortcut is one over a convolution like the
others and costs nothing.  `relax_passes.shortcuts.merge_means` does the same to float32 networks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

_MEANS = ("GlobalAveragePool", "ReduceMean")
_CHAIN = ("Add", "BatchNormalization", "Mul")
_RESHAPES = ("Flatten", "Reshape", "Squeeze")
_CHANNEL_AXIS = 1


def merge_means(graph: onnx.GraphProto) -> None:
    """Merge, in place, the means that nothing but their sum reads.

    Shapes have to be known (``value_info``); tensors of different shapes are left alone.
    """
    merger = _Merger(graph)
    for node in list(graph.node):
        if node.op_type == "Add":
            merger.merge(node)


@dataclass(frozen=True, eq=False)
class _Branch:
    """An operand of the addition: a mean, and what is done to its result, first to last."""

    mean: onnx.NodeProto
    chain: tuple[onnx.NodeProto, ...]  # factors and summands
    reshapes: tuple[onnx.NodeProto, ...]

    @property
    def data(self) -> str:
        return str(self.mean.input[0])


class _Merger:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.producer = {output: node for node in graph.node for output in node.output}
        self.reads = Counter(name for node in graph.node for name in node.input)
        self.reads.update(value.name for value in graph.output)
        values = [*graph.value_info, *graph.input, *graph.output]
        self.shapes = {value.name: _shape(value) for value in values}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}

    def merge(self, add: onnx.NodeProto) -> None:
        """Let the addition take the means' operands, and one mean its result, if that is equal."""
        branches = [self._branch(name) for name in add.input]
        for main, other in (branches, reversed(branches)):
            if main is not None and other is not None and self._mergeable(main, other):
                self._rewire(add, main, other)
                return

    def _branch(self, name: str) -> _Branch | None:
        chain: list[onnx.NodeProto] = []
        reshapes: list[onnx.NodeProto] = []
        while (node := self.producer.get(name)) is not None and self.reads[name] == 1:
            if node.op_type == "AveragePool" or node.op_type in _MEANS:
                return _Branch(node, tuple(reversed(chain)), tuple(reversed(reshapes)))
            computed = [operand for operand in node.input if operand not in self.constants]
            if len(computed) != 1:
                return None
            if node.op_type in _RESHAPES:
                reshapes.append(node)
            elif node.op_type in _CHAIN and not reshapes and self._by_channel(node):
                chain.append(node)
            else:
                return None
            name = computed[0]
        return None

    def _by_channel(self, node: onnx.NodeProto) -> bool:
        """Whether the constant of a factor or summand has one number, or one for each channel."""
        if node.op_type == "BatchNormalization":
            return len(node.output) == 1 or not any(node.output[1:])
        rank = len(self.shapes.get(node.output[0]) or ())
        for name in node.input:
            if name in self.constants and (dims := list(self.constants[name].dims)):
                dims = [1] * (rank - len(dims)) + dims
                if any(n > 1 for axis, n in enumerate(dims) if axis != _CHANNEL_AXIS):
                    return False
        return True

    def _mergeable(self, main: _Branch, other: _Branch) -> bool:
        """Whether two branches average alike, the first one without factors and summands."""
        first, second = main.mean, other.mean
        shape = self.shapes.get(main.data)
        return (
            first is not second
            and not main.chain
            and first.op_type == second.op_type
            and shape is not None
            and shape == self.shapes.get(other.data)
            and _attributes(first) == _attributes(second)
            and self._same_constants(first.input[1:], second.input[1:])
            and (first.op_type in _MEANS or not other.chain or _stays_inside(first))
            and self.shapes.get(_result(main)) == self.shapes.get(_result(other))
        )

    def _rewire(self, add: onnx.NodeProto, main: _Branch, other: _Branch) -> None:
        result, total = add.output[0], f"{add.output[0]}_before_mean"
        last = other.data
        for node in other.chain:
            before = other.mean.output[0] if last == other.data else last
            node.input[:] = [last if name == before else name for name in node.input]
            last = node.output[0]
            self.shapes[last] = self.shapes[main.data]
        add.input[:] = [main.data, last]
        add.output[0] = total
        tail = [main.mean, *main.reshapes]
        main.mean.input[0] = total
        tail[-1].output[0] = result
        # Shapes that were inferred are those before.
        stale = {name for node in (*other.chain, *tail) for name in node.output} - {result}
        for value in [value for value in self.graph.value_info if value.name in stale]:
            if value.name in {name for node in other.chain for name in node.output}:
                self.graph.value_info.remove(value)
        for node in tail:
            self.graph.node.remove(node)
        position = list(self.graph.node).index(add)
        for offset, node in enumerate(tail):
            self.graph.node.insert(position + 1 + offset, node)
        for node in (other.mean, *other.reshapes):
            self.graph.node.remove(node)

    def _same_constants(self, first: list[str], second: list[str]) -> bool:
        if list(first) == list(second):
            return True
        if len(first) != len(second) or not self.constants.keys() >= {*first, *second}:
            return False
        arrays = [numpy_helper.to_array(self.constants[name]) for name in (*first, *second)]
        return all(map(np.array_equal, arrays[: len(first)], arrays[len(first) :]))


def _result(branch: _Branch) -> str:
    return str((branch.mean, *branch.chain, *branch.reshapes)[-1].output[0])


def _stays_inside(pool: onnx.NodeProto) -> bool:
    """Whether no window reaches over the border, where a summand would count less."""
    attributes = _attributes(pool)
    padded = any(next((list(attr.ints) for attr in pool.attribute if attr.name == "pads"), []))
    automatic = attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    return not padded and not automatic and not attributes.get("ceil_mode", 0)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {attr.name: onnx.helper.get_attribute_value(attr) for attr in node.attribute}


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The static shape of a tensor; None if it is not known."""
    dims = value.type.tensor_type.shape.dim
    known = value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims)
    return tuple(dim.dim_value for dim in dims) if known else None
