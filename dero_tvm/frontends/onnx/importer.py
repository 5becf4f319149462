"""From an ONNX ModelProto to a loaded model."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import tvm
from tvm import relax

from dero_tvm.boundary.errors import InternalError, UserError, first_line
from relax_passes.ir.origins import Origin
from relax_passes.ir.port_quantization import PortQuantization
from relax_passes.ir.unfinished import abandon

from ..cut import UNCUT, Cut, suggestion
from ..loaded import LoadedModel, finish
from ..shapes import Dimension, resolve_input_shapes
from .constant_forms import constants_to_initializers
from .constants import Constants
from .cut import cut_graph, named_graph
from .definitions import CONTROL_FLOW, KNOWN
from .folding import Types, fixed_shape, fold_constants
from .functions import inline_functions
from .joins import too_many
from .misread import misread
from .narrow_constants import widen_constants
from .node_order import drop_unread_results, order_nodes
from .nodes import Importer
from .ports import quantized_ports
from .qoperators import UnsupportedForm, qoperators_to_qdq
from .reader import complaint, load_external_data
from .sequences import spell_out_sequences
from .types import check_types, declared_types

_STANDARD_DOMAINS = ("", "ai.onnx", "com.microsoft")
_SEQUENCES = (  # what makes one
    *("SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert"),
    "SplitToSequence",
)
_OF_SEQUENCES = (
    *("ConcatFromSequence", "SequenceAt", "SequenceErase", "SequenceInsert"),
    "SequenceLength",
)
_UNSUPPORTED_TYPES = {
    number: name.lower()
    for name, number in onnx.TensorProto.DataType.items()
    if name
    not in ("UNDEFINED", "FLOAT", "INT8", "UINT8", "INT32", "INT64", "BOOL", "DOUBLE", "INT16")
}


def load_onnx(
    model: onnx.ModelProto,
    *,
    label: str,
    name: str,
    folder: Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    cut: Cut = UNCUT,
) -> LoadedModel:
    """Import an ONNX model, float32, QDQ, or QOperator, or what `cut` leaves of it.

    `label` names the model in messages; `folder` is where tensors kept outside the file may be.
    `model` is not changed.  Raises :class:`UserError`.
    """
    model = _copy(model)
    load_external_data(model, label, folder)
    try:
        model = inline_functions(model, label)
        if cut:
            cut_graph(model, cut, label)
        imported = _import(model, label, input_shapes)
    except (UserError, InternalError):
        raise
    except Exception as error:  # TVM's converters assert, look up and raise freely
        invalid = complaint(model)
        remark = "" if invalid is None else f" (and the ONNX checker says: {invalid})"
        raise UserError(f"{label}: cannot be imported: {first_line(error)}{remark}") from error
    return finish(
        imported.module,
        label=label,
        name=name,
        format="onnx",
        rounding="single",
        input_names=imported.inputs,
        output_names=imported.outputs,
        quantization=imported.quantization,
        origins=imported.origins,
    )


@dataclass(frozen=True, eq=False)
class _Imported:
    """Names of inputs and outputs, what integers there mean, the module, and where it is from."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    quantization: Mapping[str, PortQuantization]
    module: tvm.IRModule
    origins: Mapping[relax.Expr, Origin]


def _import(
    model: onnx.ModelProto, label: str, input_shapes: Mapping[str, Sequence[int]] | None
) -> _Imported:
    """Changes `model`."""
    graph = model.graph
    held = {tensor.name for tensor in graph.initializer}
    held.update(sparse.values.name for sparse in graph.sparse_initializer)
    inputs = [value for value in graph.input if value.name not in held]
    widen_constants(graph)
    _refuse_types(graph, inputs, label)
    names = [value.name for value in inputs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{label}: two inputs are called {twice!r}; give each a name of its own")
    shapes = resolve_input_shapes(
        label, {value.name: _declared(value) for value in inputs}, input_shapes
    )
    for value in inputs:
        _fix(value, shapes[value.name])

    order_nodes(graph, label)
    drop_unread_results(graph)
    constants_to_initializers(graph, label)
    widen_constants(graph)
    _refuse_types(graph, inputs, label)
    _refuse_missing_operands(graph, _opset(model), label)
    inferred = fold_constants(model, _opset(model), label)
    while spell_out_sequences(graph, _opset(model), _fixed_shapes(inferred)):
        inferred = fold_constants(model, _opset(model), label)
    # Again, for what has come out of branches.
    order_nodes(graph, label)
    drop_unread_results(graph)
    _refuse_types(graph, inputs, label)
    _refuse_missing_operands(graph, _opset(model), label)
    _refuse_operators(graph, label)
    declared = declared_types(graph)
    try:
        qoperators_to_qdq(graph)
    except UnsupportedForm as error:
        raise UserError(f"{label}: unsupported operators: {error}") from error
    quantization = quantized_ports(graph)
    importer = Importer(shapes, label)
    # TVM's importer warns about names it changes and prints before it raises.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            module = importer.from_onnx(model.graph, _opset(model))
        except Exception:
            abandon(importer.bb)
            raise
    check_types(importer.types(), graph, declared, inferred, label)
    outputs = tuple(value.name for value in graph.output)
    return _Imported(tuple(names), outputs, quantization, module, importer.origins)


def _fixed_shapes(types: Types) -> dict[str, tuple[int, ...]]:
    shapes = {name: fixed_shape(ty) for name, ty in types.items()}
    return {name: tuple(shape) for name, shape in shapes.items() if shape is not None}


def _opset(model: onnx.ModelProto) -> int:
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    duplicate = onnx.ModelProto()
    duplicate.CopyFrom(model)
    return duplicate


def _declared(value: onnx.ValueInfoProto) -> list[Dimension] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    dims: list[Dimension] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            dims.append(int(dim.dim_value))
        else:
            dims.append(dim.dim_param or None)
    return dims


def _fix(value: onnx.ValueInfoProto, shape: Sequence[int]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dims.add().dim_value = size


def _refuse_types(
    graph: onnx.GraphProto, inputs: Sequence[onnx.ValueInfoProto], label: str
) -> None:
    typed = [(f"input {v.name!r}", v.type.tensor_type.elem_type) for v in inputs]
    typed += [(f"tensor {t.name!r}", t.data_type) for t in graph.initializer]
    for value in inputs:
        if not value.type.HasField("tensor_type"):
            raise UserError(f"{label}: input {value.name!r} is not a tensor")
    for what, kind in typed:
        if kind == onnx.TensorProto.UNDEFINED:
            raise UserError(f"{label}: {what} has no type; the file is damaged or incomplete")
        if kind in _UNSUPPORTED_TYPES:
            raise UserError(
                f"{label}: {what} has the unsupported type {_UNSUPPORTED_TYPES[kind]}; convert "
                "the model to float32 or quantize it to int8"
            )


def _refuse_operators(graph: onnx.GraphProto, label: str) -> None:
    problems: dict[int, str] = {}  # by position
    constants = Constants(graph)
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    for position, node in enumerate(graph.node):
        foreign = node.domain not in _STANDARD_DOMAINS
        if foreign or node.op_type not in KNOWN or node.op_type in CONTROL_FLOW:
            operator = f"{node.domain}.{node.op_type}" if foreign else node.op_type
            problems[position] = f"{operator} ({_title(node)})"
        elif node.op_type in _OF_SEQUENCES:  # TVM's importer would take a tensor apart for ever
            if made_by.get(next(iter(node.input), "")) not in _SEQUENCES:
                problems[position] = f"{node.op_type} of a tensor, which is no sequence"
        elif too_many(len(node.input)):
            problems[position] = f"{node.op_type} of {len(node.input):,} operands ({_title(node)})"
        elif too_many(len(node.output)):
            problems[position] = f"{node.op_type} into {len(node.output):,} parts ({_title(node)})"
        elif (overlooked := misread(node, constants)) is not None:
            problems[position] = f"{node.op_type} {overlooked} ({_title(node)})"
    if problems:
        listed = "; ".join(problems.values())
        advice = suggestion(named_graph(graph), problems)
        raise UserError(f"{label}: unsupported operators: {listed}{advice}")


def _title(node: onnx.NodeProto) -> str:
    return f"node {node.name!r}" if node.name else f"computing {node.output[0]!r}"


def _refuse_missing_operands(graph: onnx.GraphProto, opset: int, label: str) -> None:
    """TVM's converters do not look whether the operands that a node needs are there."""
    for node in graph.node:
        try:
            schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
        except onnx.defs.SchemaError:  # unknown to this operator set, or ONNX Runtime's
            continue
        operands = schema.inputs
        for index in range(max(len(node.input), schema.min_input)):
            operand = operands[min(index, len(operands) - 1)] if operands else None
            absent = index >= len(node.input) or not node.input[index]
            # Resize's operands were optional before its schema said so.
            if operand is None or not absent or node.op_type == "Resize":
                continue
            if operand.option != onnx.defs.OpSchema.FormalParameterOption.Optional:
                raise UserError(
                    f"{label}: the operator {node.op_type} (node {node.name!r}) lacks its operand "
                    f"{operand.name!r}: the file is damaged"
                )
