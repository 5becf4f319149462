"""From the bytes of a TFLite file to a loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tflite
from tvm.relax.frontend.tflite import from_tflite

from dero_tvm.errors import UserError, first_line
from relax_passes.port_quantization import PortQuantization

from ..builder import abandon
from ..loaded import LoadedModel, finish
from ..shapes import Dimension, resolve_input_shapes
from .converter import Converter
from .reader import NamedModel, operator_name, read_model, reading, shape_of, type_name

_STATEFUL = (
    "ASSIGN_VARIABLE",
    "CALL",
    "CALL_ONCE",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_LOOKUP",
    "HASHTABLE_SIZE",
    "IF",
    "READ_VARIABLE",
    "STABLEHLO_WHILE",
    "VAR_HANDLE",
    "WHILE",
)

_TYPES = frozenset(
    getattr(tflite.TensorType, name)
    for name in ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT32", "INT64", "BOOL")
)

_ZERO_POINTS = {
    tflite.TensorType.INT8: np.iinfo(np.int8),
    tflite.TensorType.UINT8: np.iinfo(np.uint8),
}
_QUANTIZED = (tflite.TensorType.INT8, tflite.TensorType.UINT8)


def load_tflite(
    data: bytes,
    *,
    label: str,
    name: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> LoadedModel:
    """Import a TFLite flatbuffer.

    `label` names the model in messages.  Dimensions that the file marks as open (usually the
    batch) have the size written beside the mark unless `input_shapes` says otherwise.  Raises
    :class:`UserError`.
    """
    model = read_model(data, label)
    graph = model.Subgraphs(0)
    with reading(label):
        _refuse_state(model, label)
        _refuse_types(model, label)
        names = [graph.names[graph.Inputs(i)] for i in range(graph.InputsLength())]
        outputs = [graph.names[graph.Outputs(i)] for i in range(graph.OutputsLength())]
        shapes = _input_shapes(model, names, label, input_shapes)
        _refuse_operators(model, label)
        quantization = _quantization(model, (*names, *outputs))
    converters: list[Converter] = []

    def converter(*args: object) -> Converter:
        created = Converter(*args, label=label)
        converters.append(created)
        return created

    try:
        module = from_tflite(model, shape_dict=dict(shapes), op_converter=converter)
    except Exception as error:  # from_tflite asserts and looks up freely
        for created in converters:
            abandon(created.bb)
        if isinstance(error, UserError):
            raise
        raise UserError(f"{label}: cannot be imported: {first_line(error)}") from error
    return finish(
        module,
        label=label,
        name=name,
        format="tflite",
        rounding="double",
        input_names=tuple(names),
        output_names=tuple(outputs),
        quantization=quantization,
        origins={k: origin for c in converters for k, origin in c.origins.items()},
    )


def _quantization(model: NamedModel, ports: Sequence[str]) -> dict[str, PortQuantization]:
    """Of the inputs and outputs that are integers with one scale."""
    graph = model.Subgraphs(0)
    found = {}
    for index, name in enumerate(graph.names):
        tensor = graph.Tensors(index)
        parameters = tensor.Quantization()
        if name in ports and tensor.Type() in _QUANTIZED and parameters is not None:
            if parameters.ScaleLength() == 1:
                found[name] = PortQuantization(
                    float(parameters.Scale(0)), int(parameters.ZeroPoint(0))
                )
    return found


def _input_shapes(
    model: NamedModel,
    names: Sequence[str],
    label: str,
    given: Mapping[str, Sequence[int]] | None,
) -> dict[str, tuple[int, ...]]:
    graph = model.Subgraphs(0)
    declared: dict[str, list[Dimension]] = {}
    defaults: dict[str, tuple[int, ...]] = {}
    for position, name in enumerate(names):
        tensor = graph.Tensors(graph.Inputs(position))
        shape = shape_of(tensor)
        signature = [int(tensor.ShapeSignature(i)) for i in range(tensor.ShapeSignatureLength())]
        if len(signature) != len(shape):
            signature = list(shape)
        declared[name] = [size if size > 0 else None for size in signature]
        if all(size > 0 for size in shape):
            defaults[name] = shape
    # What the user gives is checked against the open shape, then completed from the file.
    return resolve_input_shapes(label, declared, {**defaults, **(given or {})})


def _refuse_state(model: NamedModel, label: str) -> None:
    graph = model.Subgraphs(0)
    stateful = {operator_name(model, graph.Operators(i)) for i in range(graph.OperatorsLength())}
    found = sorted(stateful & set(_STATEFUL))
    variables = [
        graph.names[i] for i in range(graph.TensorsLength()) if graph.Tensors(i).IsVariable()
    ]
    if found or variables:
        what = ", ".join(found) or f"the variable {variables[0]!r}"
        raise UserError(
            f"{label} keeps state or branches at run time ({what}); only models that compute "
            "their outputs from their inputs alone are supported"
        )


def _refuse_types(model: NamedModel, label: str) -> None:
    graph = model.Subgraphs(0)
    used: set[int] = {*graph.InputsAsNumpy()} if graph.InputsLength() else set()
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        used.update(operator.Inputs(j) for j in range(operator.InputsLength()))
        used.update(operator.Outputs(j) for j in range(operator.OutputsLength()))
    for index in sorted(used - {-1}):
        tensor = graph.Tensors(int(index))
        if tensor.Type() not in _TYPES:
            raise UserError(
                f"{label}: tensor {graph.names[index]!r} has the unsupported type "
                f"{type_name(tensor.Type())}; convert the model to float32 or to int8"
            )
        quantization = tensor.Quantization()
        scales = 0 if quantization is None else quantization.ScaleLength()
        if scales == 0:
            continue
        zero_points = quantization.ZeroPointAsNumpy()
        if quantization.ZeroPointLength() != scales or (scales > 1 and np.any(zero_points)):
            raise UserError(
                f"{label}: tensor {graph.names[index]!r} has {scales} scales with the zero points "
                f"{np.atleast_1d(zero_points).tolist()}; a scale per channel needs zero points of 0"
            )
        limits = _ZERO_POINTS.get(tensor.Type())
        if limits is not None and np.any((zero_points < limits.min) | (zero_points > limits.max)):
            raise UserError(
                f"{label}: tensor {graph.names[index]!r} of {type_name(tensor.Type())} has a zero "
                f"point outside of its type: {np.atleast_1d(zero_points).tolist()}"
            )
        if not np.all(np.isfinite(quantization.ScaleAsNumpy())) or np.any(
            quantization.ScaleAsNumpy() <= 0
        ):
            raise UserError(
                f"{label}: tensor {graph.names[index]!r} has a quantization scale that is not a "
                "positive number"
            )


def _refuse_operators(model: NamedModel, label: str) -> None:
    """Name every operator that has no converter, and every mix of types that has none."""
    graph = model.Subgraphs(0)
    # An instance only for its tables; it converts nothing.
    tables = Converter(model, graph, None, None)
    problems: list[str] = []
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = operator_name(model, operator)
        output = graph.names[operator.Outputs(0)] if operator.OutputsLength() else ""
        where = f"{code} ({output!r})"
        if code not in tables.convert_map or code.startswith("STABLEHLO"):
            problems.append(where)
            continue
        quantized = [
            bool(wrapper.qnn_params)
            for wrapper in tables.get_input_tensors(operator)
            if wrapper.tensor_idx >= 0
        ]
        results = [bool(wrapper.qnn_params) for wrapper in tables.get_output_tensors(operator)]
        if any(quantized[1:]) and not quantized[0] and not any(results) and code != "SPLIT":
            problems.append(
                f"{where} with float activations and quantized weights (dynamic-range "
                "quantization; convert with full integer quantization)"
            )
        elif any(quantized + results) and code not in tables._SUPPORTED_QUANTIZED_OPS:
            problems.append(f"{where} on quantized tensors")
    if problems:
        raise UserError(f"{label}: unsupported operators: {'; '.join(problems)}")
