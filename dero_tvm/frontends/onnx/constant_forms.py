"""All constants of an ONNX graph as initializers: those of Constant nodes, and sparse ones.

A node may say its constant as a tensor, as numbers, or sparsely; later stages know initializers.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dero_tvm.boundary.errors import UserError

from .graph_nodes import replace_nodes

_MOST_ELEMENTS = 1 << 24  # of a sparse tensor, whose size says nothing of the file's
_NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def constants_to_initializers(graph: onnx.GraphProto, label: str) -> None:
    """Rewrite `graph` in place; a Constant node that is an output of the model stays a node.

    Raises :class:`UserError` for a damaged or huge sparse tensor.
    """
    for sparse in graph.sparse_initializer:
        graph.initializer.append(_dense(sparse, sparse.values.name, label))
    del graph.sparse_initializer[:]
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        tensor = constant_value(node, label) if node.op_type == "Constant" and node.output else None
        if tensor is None:
            kept.append(node)
        elif node.output[0] in outputs:
            kept.append(helper.make_node("Constant", [], node.output, name=node.name, value=tensor))
        else:
            graph.initializer.append(tensor)
    if len(kept) < len(graph.node) or any(a is not b for a, b in zip(kept, graph.node)):
        replace_nodes(graph, kept)


def constant_value(node: onnx.NodeProto, label: str) -> onnx.TensorProto | None:
    """The tensor of a Constant node under the name of its result; None if it is of strings."""
    name = node.output[0]
    for attribute in node.attribute:
        if attribute.name == "value":
            tensor = onnx.TensorProto()
            tensor.CopyFrom(attribute.t)
            tensor.name = name
            return tensor
        if attribute.name == "sparse_value":
            return _dense(attribute.sparse_tensor, name, label)
        if attribute.name in _NUMBERS:
            numbers = np.array(helper.get_attribute_value(attribute), _NUMBERS[attribute.name])
            return numpy_helper.from_array(numbers, name)
    return None


def _dense(sparse: onnx.SparseTensorProto, name: str, label: str) -> onnx.TensorProto:
    """All elements of a sparse tensor, those that it does not list being 0."""
    where = f"{label}: the sparse tensor {name!r}"
    shape = tuple(sparse.dims)
    if min(shape, default=1) < 0 or prod(shape) > _MOST_ELEMENTS:
        raise UserError(
            f"{where} of shape {list(shape)} does not have 0 to {_MOST_ELEMENTS:,} elements"
        )
    try:
        values = numpy_helper.to_array(sparse.values)
        indices = numpy_helper.to_array(sparse.indices)
        flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
        dense = np.zeros(prod(shape), values.dtype)
        if np.any(flat < 0):
            raise ValueError("an index is negative")
        dense[flat] = values
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(f"{where} is damaged: {error}") from error
    return numpy_helper.from_array(dense.reshape(shape), name)
