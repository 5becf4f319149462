"""A part of an ONNX graph: nodes, constants, inputs and outputs that `cut.part_of` leaves."""

from __future__ import annotations

import onnx

from dero_tvm.boundary.errors import UserError, first_line

from ..cut import Cut, NamedGraph, Part, part_of
from .functions import inline_functions
from .graph_nodes import operands_of, replace_nodes


def cut_model(model: onnx.ModelProto, cut: Cut, label: str) -> onnx.ModelProto:
    """What `cut` names of `model`, which is not changed."""
    if not cut:
        return model
    part = inline_functions(onnx.ModelProto.FromString(model.SerializeToString()), label)
    cut_graph(part, cut, label)
    return part


def cut_graph(model: onnx.ModelProto, cut: Cut, label: str) -> None:
    """Leave of `model` what `cut` names.  Raises :class:`UserError`."""
    graph = model.graph
    part = part_of(named_graph(graph), cut, label)
    types = _types(model, part, label)
    for name in part.inputs:
        if name not in types:
            raise UserError(
                f"{label}: --inputs names {name!r}, whose type and shape neither the file nor ONNX "
                "knows; name another tensor, or write shapes into the file with "
                "onnx.shape_inference"
            )
    nodes = [graph.node[position] for position in part.operators]
    read = {name for node in nodes for name in operands_of(node)}
    replace_nodes(graph, nodes)
    for field in (graph.initializer, graph.sparse_initializer):
        kept = [tensor for tensor in field if _name(tensor) in read and _name(tensor)]
        copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in kept]
        del field[:]
        field.extend(copies)
    for ports, names in ((graph.input, part.inputs), (graph.output, part.outputs)):
        del ports[:]
        for name in names:
            ports.append(types.get(name, onnx.ValueInfoProto(name=name)))


def named_graph(graph: onnx.GraphProto) -> NamedGraph:
    """The tensors of `graph` by name."""
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {_name(tensor) for tensor in graph.sparse_initializer}
    return NamedGraph(
        [list(operands_of(node)) for node in graph.node],
        [list(node.output) for node in graph.node],
        [value.name for value in graph.input if value.name not in constants],
        [value.name for value in graph.output],
        constants,
        {node.name: node.output[0] for node in graph.node if node.name and node.output},
    )


def _types(model: onnx.ModelProto, part: Part, label: str) -> dict[str, onnx.ValueInfoProto]:
    """Types and shapes of the part's ends that are known."""
    graph = model.graph
    said = {value.name: value for value in (*graph.value_info, *graph.output, *graph.input)}
    if any(not _is_complete(said.get(name)) for name in part.inputs):
        said = _inferred(model, label) | {n: v for n, v in said.items() if _is_complete(v)}
    ends = {*part.inputs, *part.outputs}
    found = {}
    for name, value in said.items():
        if name in ends and (_is_complete(value) or name in part.outputs):
            found[name] = onnx.ValueInfoProto.FromString(value.SerializeToString())
    return found


def _is_complete(value: onnx.ValueInfoProto | None) -> bool:
    if value is None or not value.type.HasField("tensor_type"):
        return False
    tensor = value.type.tensor_type
    return tensor.elem_type != onnx.TensorProto.UNDEFINED and tensor.HasField("shape")


def _inferred(model: onnx.ModelProto, label: str) -> dict[str, onnx.ValueInfoProto]:
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # of the C++ library, which says what it did not like
        raise UserError(f"{label}: shapes cannot be inferred: {first_line(error)}") from error
    return {value.name: value for value in (*inferred.value_info, *inferred.output)}


def _name(tensor: onnx.TensorProto | onnx.SparseTensorProto) -> str:
    return tensor.values.name if isinstance(tensor, onnx.SparseTensorProto) else tensor.name
