"""The sum of two averages becomes the average of the sum, before a network is quantized.

    Add(mean(a), mean(b))   ->   mean(Add(a, b))

A reorganized network averages its main path and its last shortcut apart.  Quantized so, each
average is rounded to a scale of its own, and the shortcut is a tensor that has to be kept.  With
the addition in front, that shortcut is one over a convolution like the others and costs nothing.
`relax_passes.merge_means` does the same to float32 networks.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

_MEANS = ("GlobalAveragePool", "ReduceMean")


def merge_means(graph: onnx.GraphProto) -> None:
    """Merge, in place, the means that nothing but their sum reads.

    Shapes have to be known (``value_info``); tensors of different shapes are left alone.
    """
    merger = _Merger(graph)
    for node in list(graph.node):
        if node.op_type == "Add" and merger.mergeable(node):
            merger.merge(node)


class _Merger:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.producer = {output: node for node in graph.node for output in node.output}
        self.reads = Counter(name for node in graph.node for name in node.input)
        self.reads.update(value.name for value in graph.output)
        values = [*graph.value_info, *graph.input]
        self.shapes = {value.name: _shape(value) for value in values}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}

    def mergeable(self, add: onnx.NodeProto) -> bool:
        """Whether `add` sums two means of one kind that only it reads."""
        first, second = (self.producer.get(name) for name in add.input)
        if first is None or second is None or first is second:
            return False
        a, b = first.input[0], second.input[0]
        return (
            first.op_type == second.op_type
            and first.op_type in _MEANS
            and self.reads[first.output[0]] == self.reads[second.output[0]] == 1
            and self.shapes.get(a) is not None
            and self.shapes.get(a) == self.shapes.get(b)
            and _attributes(first) == _attributes(second)
            and self._same_constants(first.input[1:], second.input[1:])
        )

    def merge(self, add: onnx.NodeProto) -> None:
        """Let the addition take the means' operands, and one mean its result."""
        first, second = (self.producer[name] for name in add.input)
        result, total = add.output[0], f"{add.output[0]}_before_mean"
        add.input[:] = [first.input[0], second.input[0]]
        add.output[0] = total
        position = list(self.graph.node).index(add)
        first.input[0], first.output[0] = total, result
        self.graph.node.insert(position + 1, first)
        self.graph.node.remove(first)  # the earlier of the two
        self.graph.node.remove(second)

    def _same_constants(self, first: list[str], second: list[str]) -> bool:
        if list(first) == list(second):
            return True
        if len(first) != len(second) or not self.constants.keys() >= {*first, *second}:
            return False
        arrays = [numpy_helper.to_array(self.constants[name]) for name in (*first, *second)]
        return all(map(np.array_equal, arrays[: len(first)], arrays[len(first) :]))


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {attr.name: onnx.helper.get_attribute_value(attr) for attr in node.attribute}


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The static shape of a tensor; None if it is not known."""
    dims = value.type.tensor_type.shape.dim
    known = value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims)
    return tuple(dim.dim_value for dim in dims) if known else None
