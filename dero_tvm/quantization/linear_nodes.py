"""Which nodes a quantizer should leave in float32: the insides of linear chains.

    pool, pad or fold, factor and summand for each channel

A quantizer that rounds after each of these adds noise, and needs a number format for weights that
are no matrix (ONNX Runtime gives the factors of a batch norm one scale for all channels).  Nothing
is gained by it either: the compiler computes the whole chain in integers between the rounding in
front and the one behind.

A chain ends in a batch norm, or, if elements are added up in it, where it joins a residual.

A chain that is added to something else than a convolution of its beginning (the shortcut around a
stem, behind a pooling) is computed by no other operator's loops: in float32 each of its tensors
would be kept, four bytes an element.  It is rounded after each operator instead; see
`chain_convolutions`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import onnx
from onnx import numpy_helper

_NORM = "BatchNormalization"
_MOVES = (
    *("Concat", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split"),
    *("SpaceToDepth", "Squeeze", "Transpose", "Unsqueeze"),
    *("ConcatFromSequence", "SequenceAt", "SplitToSequence"),
)
_POOLS = ("AveragePool",)
_PRODUCTS = ("Einsum", "MatMul")  # with zeros and ones
_REDUCTIONS = (*_PRODUCTS, "ReduceMean", "ReduceSum")
_FACTORS = ("Div", "Mul")
_SUMS = ("Add", "Sub", "Sum")
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_LINEAR = (*_MOVES, *_POOLS, *_REDUCTIONS, *_FACTORS, *_SUMS)


def linear_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the batch norms, and of the linear nodes before them that only they read.

    Also of the linear nodes that only the join of a residual reads, if sums are among them.  Not
    of chains that are added to something else than a convolution of their beginning.
    """
    chosen, _ = _chosen_and_rounded(graph)
    return [node.name for node in graph.node if node.name in chosen]


def rounded_chains(graph: onnx.GraphProto) -> list[list[onnx.NodeProto]]:
    """The nodes, in topological order, of each chain that is not left in float32."""
    _, rounded = _chosen_and_rounded(graph)
    producer = {output: node for node in graph.node for output in node.output}
    chains: list[list[onnx.NodeProto]] = []
    taken: set[str] = set()
    for last in reversed(graph.node):
        waiting = [last]
        while waiting:
            node = waiting.pop()
            if node.name in rounded and node.name not in taken:
                taken.add(node.name)
                waiting += [producer[name] for name in node.input if name in producer]
                if node is last:
                    chains.append([])
                chains[-1].insert(0, node)
    return chains


def _chosen_and_rounded(graph: onnx.GraphProto) -> tuple[set[str], set[str]]:
    """Names of the nodes to leave in float32, and of those in chains to round."""
    chains = _Chains(graph)
    chosen: set[str] = set()
    rounded: set[str] = set()
    for node in reversed(graph.node):  # in topological order: readers come first
        if chains.ends_elsewhere(node) or chains.read_by(node, rounded, norms=True):
            rounded.add(node.name)
        elif node.op_type == _NORM or chains.read_by(node, chosen) or chains.ends_at_join(node):
            chosen.add(node.name)
    return chosen, rounded


class _Chains:
    """A graph, with where the linear nodes of each tensor begin."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._producer = {output: node for node in graph.node for output in node.output}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._computed = {value.name for value in graph.input} - self._constants.keys()
        for node in graph.node:
            if node.op_type != "Constant":
                self._computed.update(node.output)
        self._outputs = {value.name for value in graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)
        self._roots: dict[str, frozenset[str]] = {}

    def read_by(self, node: onnx.NodeProto, chosen: set[str], *, norms: bool = False) -> bool:
        """Whether a linear node of one tensor, or a norm too, is read by chosen ones alone."""
        readers = [reader.name for name in node.output for reader in self._readers[name]]
        return bool(readers) and chosen.issuperset(readers) and self._is_link(node, norms)

    def ends_at_join(self, node: onnx.NodeProto) -> bool:
        """Whether a linear node of one tensor, with sums before it, is read by a join alone."""
        return self._join(node) is not None and self._is_link(node) and self._adds_up(node)

    def ends_elsewhere(self, node: onnx.NodeProto) -> bool:
        """Whether a chain with sums ends at `node`, at a join with no convolution of its root."""
        join = self._join(node)
        if join is None or not self._is_link(node, norms=True) or not self._adds_up(node):
            return False
        roots = self._roots_of(node.output[0])
        others = [name for name in join.input if name not in node.output]
        return not any(self._convolves(name, roots) for name in others)

    def _join(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The addition of different tensors that alone reads `node`."""
        readers = [reader for name in node.output for reader in self._readers[name]]
        if len(readers) != 1 or readers[0].op_type not in ("Add", "Sum"):
            return None
        joined = {self._roots_of(name) for name in readers[0].input}
        return readers[0] if len(joined) > 1 else None

    def _convolves(self, name: str, roots: frozenset[str]) -> bool:
        """Whether operators other than poolings lead back to a convolution of `roots`."""
        waiting, seen = [name], {name}
        while waiting:
            node = self._producer.get(waiting.pop())
            if node is None or node.op_type in _POOLS:
                continue
            if "Pool" in node.op_type and not self._is_linear(node):
                continue
            if node.op_type in _CONVOLUTIONS and not self._is_linear(node):
                if self._roots_of(node.input[0]) == roots:
                    return True
                continue
            new = {operand for operand in node.input if operand in self._computed} - seen
            seen |= new
            waiting += new
        return False

    def _is_link(self, node: onnx.NodeProto, norms: bool = False) -> bool:
        if not (self._is_linear(node) or (norms and node.op_type == _NORM)):
            return False
        if self._outputs.intersection(node.output):
            return False
        computed = [name for name in node.input if name in self._computed]
        if node.op_type in (*_FACTORS, _NORM) and len(computed) != 1:
            return False
        if self._is_transition(node):
            return False
        roots = self._roots_of(node.output[0])
        return len(roots) == 1 and node.output[0] not in roots  # not a join itself

    def _is_linear(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "MaxPool":  # every second pixel, for example
            return all(
                set(attr.ints) == {1} for attr in node.attribute if attr.name == "kernel_shape"
            )
        if node.op_type in _PRODUCTS:
            known = [self._constants.get(name) for name in node.input if name not in self._computed]
            return len(known) == len(node.input) - 1 and all(map(_zeros_and_ones, known))
        if node.op_type == "Conv":
            weight = self._constants.get(node.input[1])
            return len(node.input) == 2 and _zeros_and_ones(weight) and _folds(node, weight)
        if node.op_type == "Resize":
            scales = self._constants.get(node.input[2]) if len(node.input) == 3 else None
            return scales is not None and bool((numpy_helper.to_array(scales) <= 1).all())
        return node.op_type in _LINEAR

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
        linear = node is not None and (node.op_type == _NORM or self._is_linear(node))
        if node is None or not linear or self._is_transition(node):
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
            if node.op_type in (*_POOLS, *_REDUCTIONS, *_CONVOLUTIONS, "Resize"):
                return True
            if node.op_type in _SUMS and len(computed) > 1:
                return True
            waiting += [self._producer[name] for name in computed if name != root]
        return False


def _zeros_and_ones(tensor: onnx.TensorProto | None) -> bool:
    if tensor is None:
        return False
    values = numpy_helper.to_array(tensor)
    return bool(((values == 0) | (values == 1)).all())


def _folds(node: onnx.NodeProto, weight: onnx.TensorProto | None) -> bool:
    """Whether each channel goes to one filter of a convolution at most."""
    assert weight is not None
    used = numpy_helper.to_array(weight) != 0
    groups = next((attr.i for attr in node.attribute if attr.name == "group"), 1)
    reading = used.reshape(groups, len(used) // groups, used.shape[1], -1).any(3)
    return bool((reading.sum(1) <= 1).all())
