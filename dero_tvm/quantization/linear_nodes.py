"""Which nodes a quantizer should leave in float32: the insides of linear chains.

    pool, pad or fold, factor and summand for each channel

A quantizer that rounds after each of these adds noise, and needs a number format for weights that
are no matrix (ONNX Runtime gives the factors of a batch norm one scale for all channels).  Nothing
is gained by it either: the compiler computes the whole chain in integers between the rounding in
front and the one behind.

A chain ends in a batch norm, or, if elements are added up in it, where it joins a residual.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import onnx

_NORM = "BatchNormalization"
_MOVES = (
    *("Concat", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split"),
    *("SpaceToDepth", "Squeeze", "Transpose", "Unsqueeze"),
)
_POOLS = ("AveragePool",)
_REDUCTIONS = ("Einsum", "ReduceMean", "ReduceSum")
_FACTORS = ("Div", "Mul")
_SUMS = ("Add", "Sub", "Sum")
_LINEAR = (*_MOVES, *_POOLS, *_REDUCTIONS, *_FACTORS, *_SUMS)


def linear_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the batch norms, and of the linear nodes before them that only they read.

    Also of the linear nodes that only the join of a residual reads, if sums are among them.
    """
    chains = _Chains(graph)
    chosen: set[str] = set()
    for node in reversed(graph.node):  # in topological order: readers come first
        if node.op_type == _NORM or chains.read_by(node, chosen) or chains.ends_at_join(node):
            chosen.add(node.name)
    return [node.name for node in graph.node if node.name in chosen]


class _Chains:
    """A graph, with where the linear nodes of each tensor begin."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._producer = {output: node for node in graph.node for output in node.output}
        constants = {tensor.name for tensor in graph.initializer}
        self._computed = {value.name for value in graph.input} - constants
        for node in graph.node:
            if node.op_type != "Constant":
                self._computed.update(node.output)
        self._outputs = {value.name for value in graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)
        self._roots: dict[str, frozenset[str]] = {}

    def read_by(self, node: onnx.NodeProto, chosen: set[str]) -> bool:
        """Whether a linear node of one tensor is read by chosen ones alone."""
        readers = [reader.name for name in node.output for reader in self._readers[name]]
        return bool(readers) and chosen.issuperset(readers) and self._is_link(node)

    def ends_at_join(self, node: onnx.NodeProto) -> bool:
        """Whether a linear node of one tensor, with sums before it, is read by a join alone."""
        readers = [reader for name in node.output for reader in self._readers[name]]
        if len(readers) != 1 or readers[0].op_type not in ("Add", "Sum"):
            return False
        joined = {self._roots_of(name) for name in readers[0].input}
        return len(joined) > 1 and self._is_link(node) and self._adds_up(node)

    def _is_link(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in _LINEAR or self._outputs.intersection(node.output):
            return False
        computed = [name for name in node.input if name in self._computed]
        if node.op_type in _FACTORS and len(computed) != 1:
            return False
        if self._is_transition(node):
            return False
        roots = self._roots_of(node.output[0])
        return len(roots) == 1 and node.output[0] not in roots  # not a join itself

    def _is_transition(self, node: onnx.NodeProto) -> bool:
        """A pooling of the network itself, which both a convolution and its shortcut read."""
        return node.op_type in _POOLS and len(self._readers[node.output[0]]) > 1

    def _roots_of(self, name: str) -> frozenset[str]:
        """The tensor that linear nodes make `name` of; the join of several is one itself."""
        if name not in self._roots:
            self._roots[name] = frozenset(self._find_roots(name))
        return self._roots[name]

    def _find_roots(self, name: str) -> Iterator[str]:
        node = self._producer.get(name)
        if node is None or node.op_type not in (*_LINEAR, _NORM) or self._is_transition(node):
            yield name
            return
        computed = [operand for operand in node.input if operand in self._computed]
        if node.op_type == _NORM:
            computed = computed[:1]
        found = frozenset().union(*(self._roots_of(operand) for operand in computed))
        yield from found if len(found) == 1 else [name]

    def _adds_up(self, node: onnx.NodeProto) -> bool:
        """Whether windows or channels of one tensor are added up by a node or before it."""
        waiting, (root,) = [node], self._roots_of(node.output[0])
        while waiting:
            node = waiting.pop()
            computed = [name for name in node.input if name in self._computed]
            if node.op_type in (*_POOLS, *_REDUCTIONS):
                return True
            if node.op_type in _SUMS and len(computed) > 1:
                return True
            waiting += [self._producer[name] for name in computed if name != root]
        return False
