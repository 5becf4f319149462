"""Operators that ONNX itself defines by others, spelled out by that definition.

ONNX gives many operators a body: `Swish` is a product with a `Sigmoid`, `CenterCropPad` a `Pad` and
a `Slice`, `Attention` two matrix products with what lies between.  Where TVM's importer does not
know such an operator, or reads a form of it as another, the body stands in its place; its shapes
are constants by then, so that most of it is folded.

Left alone are bodies with loops, and those written in operators that mean something else in the
model's operator set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map

from .constants import Constants
from .graph_nodes import inner_graphs
from .lp_normalization import LP_NORMALIZATION
from .misread import misread
from .qoperators import QOPERATORS
from .recurrent import RECURRENT
from .splicing import spliced

_STANDS_FOR = "dero.stands_for"
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
KNOWN = frozenset({*_get_convert_map(), *QOPERATORS, *RECURRENT, LP_NORMALIZATION})
"""Operators that are converted, in one form at least."""
_BETTER_BY_DEFINITION = frozenset(  # which the importer knows in few forms
    {"Attention", "RMSNormalization"}
)


def defined_by(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    opsets: Sequence[onnx.OperatorSetIdProto],
    constants: Constants,
) -> list[onnx.NodeProto] | None:
    """The nodes that `node` stands for; None if it is converted as it is, or has no definition.

    types: of the tensors that are known.
    """
    if node.op_type in CONTROL_FLOW or not any(node.output):
        return None
    if node.op_type in KNOWN - _BETTER_BY_DEFINITION and misread(node, constants) is None:
        return None
    version = _version(opsets, node.domain)
    if version is None:
        return None
    try:
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return None
    if any(name and name not in types for name in node.input):
        return None
    for body in _bodies(schema, node, types, version):
        if all(_means_the_same(inside, opsets) for inside in body.node):
            return _in_place(body, node, schema, constants)
    return None


def _version(opsets: Sequence[onnx.OperatorSetIdProto], domain: str) -> int | None:
    names = ("", "ai.onnx") if domain in ("", "ai.onnx") else (domain,)
    return next((opset.version for opset in opsets if opset.domain in names), None)


def _bodies(
    schema: Any,  # whose functions the package's stubs lack
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    most: int,
) -> Iterator[onnx.FunctionProto]:
    """The definitions in the operator sets up to `most`, the newest first."""
    for version in sorted(schema.function_opset_versions, reverse=True):
        if version <= most:
            yield _parsed(schema.get_function_with_opset_version(version))
    operands = [types[name] if name else onnx.TypeProto() for name in node.input]
    for version in sorted(schema.context_dependent_function_opset_versions, reverse=True):
        if version <= most:
            text = schema.get_context_dependent_function_with_opset_version(
                version, node.SerializeToString(), [ty.SerializeToString() for ty in operands]
            )
            if text:
                yield _parsed(text)


def _parsed(text: bytes) -> onnx.FunctionProto:
    return onnx.FunctionProto.FromString(text)


def _means_the_same(node: onnx.NodeProto, opsets: Sequence[onnx.OperatorSetIdProto]) -> bool:
    """Whether a node of a body is one of the model's own operator set, and no loop."""
    version = _version(opsets, node.domain)
    if version is None or (node.op_type in CONTROL_FLOW and node.op_type != "If"):
        return False
    try:
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return False
    return (
        schema.min_input <= len(node.input) <= schema.max_input
        and all(attribute.name in schema.attributes for attribute in node.attribute)
        and all(_means_the_same(inner, opsets) for g in inner_graphs(node) for inner in g.node)
    )


def _in_place(
    body: onnx.FunctionProto,
    node: onnx.NodeProto,
    schema: onnx.defs.OpSchema,
    constants: Constants,
) -> list[onnx.NodeProto]:
    """The body's nodes with the operands, results and attributes of `node`, and its name."""
    values = {name: item.default_value for name, item in schema.attributes.items()}
    values.update({attribute.name: attribute for attribute in body.attribute_proto})
    values.update({attribute.name: attribute for attribute in node.attribute})
    inside = [onnx.NodeProto.FromString(item.SerializeToString()) for item in body.node]
    for item in inside:
        _set_attributes(item, values)
    names = dict.fromkeys(body.input, "")
    names.update(zip(body.input, node.input))
    names.update((inner, outer) for inner, outer in zip(body.output, node.output) if outer)
    title = node.name or next(filter(None, node.output))
    nodes = spliced(inside, names, constants, f"{title}.")
    for item in nodes:
        item.name = title
        item.metadata_props.add(key=_STANDS_FOR, value=operator_of(node))
    return nodes


def operator_of(node: onnx.NodeProto) -> str:
    """The operator as the file calls it: of a node of a definition, the one defined."""
    given = (entry.value for entry in node.metadata_props if entry.key == _STANDS_FOR)
    return next(given, node.op_type)


def _set_attributes(node: onnx.NodeProto, values: Mapping[str, onnx.AttributeProto]) -> None:
    """Attributes that refer to one of the operator's get its value, or are left out."""
    attributes = []
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            value = values.get(attribute.ref_attr_name)
            if value is None or not value.type:
                continue
            copy = onnx.AttributeProto.FromString(value.SerializeToString())
            copy.name = attribute.name
            attributes.append(copy)
        else:
            attributes.append(onnx.AttributeProto.FromString(attribute.SerializeToString()))
    del node.attribute[:]
    node.attribute.extend(attributes)
    for graph in inner_graphs(node):
        for inner in graph.node:
            _set_attributes(inner, values)
