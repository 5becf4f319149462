"""Which nodes a quantizer should leave in float32: the insides of linear chains.

    pool, pad or fold, factor and summand for each channel

A quantizer that rounds after each of these adds noise, and needs a number format for weights that
are no matrix (ONNX Runtime gives the factors of a batch norm one scale for all channels).  Nothing
is gained by it either: the compiler computes the whole chain in integers between the rounding in
front and the one behind.
"""

from __future__ import annotations

from collections import defaultdict

import onnx

_ENDS = ("BatchNormalization",)
_LINEAR = ("AveragePool", "Concat", "Identity", "Mul", "Pad", "Slice", "Split")
_SUMS = ("Add", "Sum")


def linear_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the batch norms, and of the linear nodes before them that only they read."""
    producer = {output: node for node in graph.node for output in node.output}
    readers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node.name)
    outputs = {value.name for value in graph.output}
    chosen: set[str] = set()
    for node in reversed(graph.node):  # in topological order: readers come first
        if node.op_type in _ENDS:
            chosen.add(node.name)
            continue
        read_by = [reader for name in node.output for reader in readers[name]]
        if not read_by or not chosen.issuperset(read_by) or outputs.intersection(node.output):
            continue
        if _is_linear(node, producer):
            chosen.add(node.name)
    return [node.name for node in graph.node if node.name in chosen]


def _is_linear(node: onnx.NodeProto, producer: dict[str, onnx.NodeProto]) -> bool:
    computed = [producer[name] for name in node.input if name in producer]
    computed = [source for source in computed if source.op_type != "Constant"]
    if node.op_type in _SUMS:  # of slices; the join of a residual block is no part of a chain
        return all(source.op_type in ("Slice", "Split", *_SUMS) for source in computed) and all(
            _is_linear(source, producer) for source in computed
        )
    return node.op_type in _LINEAR and (node.op_type != "Mul" or len(computed) == 1)
