"""What a readable TFLite file may hold that cannot be compiled, said before anything is."""

from __future__ import annotations

import numpy as np
import tflite

from dero_tvm.boundary.errors import UserError

from ..cut import suggestion
from .bias import bias_of
from .constant_shapes import options_of
from .converter import DATA_INPUT, MOVES, Converter
from .cut import named_graph
from .reader import NamedModel, operator_name, type_name
from .signatures import signatures_of
from .variables import UPDATED

_TABLES = (
    *("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_LOOKUP", "HASHTABLE_SIZE"),
)
_BRANCHES = ("CALL", "IF", "STABLEHLO_WHILE", "WHILE")
_TYPES = frozenset(
    getattr(tflite.TensorType, name)
    for name in ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT32", "INT64", "BOOL")
)
INT16_OPERATORS = frozenset(
    {
        *MOVES,
        *UPDATED,
        *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE"),
        *("FULLY_CONNECTED", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM"),
        *("MUL", "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1"),
        *(
            "RELU_N1_TO_1",
            "RESIZE_BILINEAR",
            "SHAPE",
            "SOFTMAX",
            "SUB",
            "SUM",
            "TANH",
            "TRANSPOSE_CONV",
        ),
    }
)
"""Operators that are computed on int16 as LiteRT or TensorFlow Lite Micro computes them."""
_ANY_ZERO_POINT = frozenset({*UPDATED, "DEQUANTIZE", "QUANTIZE", "SOFTMAX"})
_INT32_SUMS = {"CONV_2D": tflite.Conv2DOptions, "FULLY_CONNECTED": tflite.FullyConnectedOptions}
_INT64_BIASES = ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_ZERO_POINTS = {
    tflite.TensorType.INT8: np.iinfo(np.int8),
    tflite.TensorType.UINT8: np.iinfo(np.uint8),
}


def refuse_control_flow(model: NamedModel, label: str) -> None:
    """Tables, branches, and other graphs than the first and those of CALL_ONCE."""
    graph = model.Subgraphs(0)
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    used = {operator_name(model, operator) for operator in operators}
    if tables := sorted(used & set(_TABLES)):
        raise UserError(
            f"{label} looks values up in tables that it fills at run time ({', '.join(tables)}), "
            "which is not supported; do that in the application"
        )
    if branches := sorted(used & set(_BRANCHES)):
        places = [
            i
            for i in range(graph.OperatorsLength())
            if operator_name(model, graph.Operators(i)) in _BRANCHES
        ]
        raise UserError(
            f"{label} branches at run time ({', '.join(branches)}), which is not supported; "
            f"export a single inference graph{suggestion(named_graph(model), places)}"
        )
    once = {
        model.place_of(options_of(operator, tflite.CallOnceOptions).InitSubgraphIndex())
        for operator in operators
        if operator_name(model, operator) == "CALL_ONCE"
    }
    inlined = frozenset() if model.inlined is None else model.inlined.graphs
    signed = len(set(signatures_of(model).values())) > 1  # the others are of other signatures
    unread = model.SubgraphsLength() - len((once | inlined) - {0}) > 1
    if unread and not signed and model.part is None:
        raise UserError(
            f"{label} has {model.SubgraphsLength()} subgraphs, of which only one could be "
            "compiled; export each signature as a model of its own"
        )


def refuse_types(model: NamedModel, label: str) -> None:
    """Types of tensors that operators use, and quantizations that say nothing sensible."""
    graph = model.Subgraphs(0)
    users: dict[int, str] = {}
    layers: set[int] = set()  # tensors other than biases, whose quantization nobody reads
    lacking: dict[int, str] = {}  # int16 tensors, by an operator that does not know them
    known: set[int] = set()  # int16 tensors of operators that do
    centred: set[int] = set()  # int16 tensors of operators that know them with a zero point of 0
    for position in reversed(range(graph.OperatorsLength())):  # the first user names the tensor
        operator = graph.Operators(position)
        code = operator_name(model, operator)
        operands = [operator.Inputs(j) for j in range(operator.InputsLength())]
        results = [operator.Outputs(j) for j in range(operator.OutputsLength())]
        used = [tensor for tensor in (*operands, *results) if tensor >= 0]
        if code != "DENSIFY":
            _refuse_sparse(model, operator, used, label)
        users.update(dict.fromkeys(used, f" of {_title(model, operator)}"))
        wide = [t for t in used if graph.Tensors(t).Type() == tflite.TensorType.INT16]
        if code in INT16_OPERATORS:
            known.update(wide)
            centred.update(wide if code not in _ANY_ZERO_POINT else ())
        else:
            lacking.update(dict.fromkeys(wide, code))
        bias = bias_of(code, operator, graph)
        if any(t in wide for t in results):
            _refuse_bias(model, operator, bias, label)
        layers.update(tensor for tensor in used if tensor != bias)
    inputs = [graph.Inputs(position) for position in range(graph.InputsLength())]
    unread = set(inputs) - set(users)
    known.update(t for t in unread if graph.Tensors(t).Type() == tflite.TensorType.INT16)
    users = {**dict.fromkeys(inputs, ""), **users}
    layers.update(inputs)
    for index, where in sorted(users.items()):
        tensor = graph.Tensors(index)
        what = f"{label}: tensor {graph.names[index]!r}{where}"
        if index in lacking or tensor.Type() not in _TYPES and index not in known:
            where = f" ({lacking[index]} has no int16 form)" if index in lacking else ""
            raise UserError(
                f"{what} has the unsupported type {type_name(tensor.Type())}{where}; convert the "
                "model to float32 or to int8"
            )
        if index in centred:
            _refuse_zero_point(tensor, what)
        if index in layers:
            _refuse_quantization(tensor, what)


def _refuse_sparse(
    model: NamedModel, operator: tflite.Operator, used: list[int], label: str
) -> None:
    graph = model.Subgraphs(0)
    for index in used:
        if graph.Tensors(index).Sparsity() is not None:
            raise UserError(
                f"{label}: tensor {graph.names[index]!r} of {_title(model, operator)} is sparse, "
                "which is supported in front of DENSIFY alone; convert the model again without "
                "sparsity"
            )


def _refuse_bias(
    model: NamedModel, operator: tflite.Operator, bias: int | None, label: str
) -> None:
    """Biases of 16x8 layers that LiteRT's kernels do not take."""
    graph, code = model.Subgraphs(0), operator_name(model, operator)
    table = _INT32_SUMS.get(code)
    if bias is None and table is not None:
        if options_of(operator, table).QuantizedBiasType() == tflite.TensorType.INT32:
            raise UserError(
                f"{label}: {_title(model, operator)} on int16 has no bias but sums of int32, which "
                "are supported with a bias only; convert the model again without a type for biases"
            )
    if bias is None or code not in _INT64_BIASES:
        return
    if graph.Tensors(bias).Type() != tflite.TensorType.INT64:
        kind = type_name(graph.Tensors(bias).Type())
        raise UserError(
            f"{label}: {_title(model, operator)} on int16 has a bias of {kind}, and only one of "
            "int64 is supported; convert the model again without a type for biases"
        )


def _refuse_zero_point(tensor: tflite.Tensor, what: str) -> None:
    quantization = tensor.Quantization()
    if quantization is not None and np.any(quantization.ZeroPointAsNumpy()):
        raise UserError(
            f"{what} is int16 with a zero point other than 0, which LiteRT has no kernel for; "
            "convert the model again"
        )


def _refuse_quantization(tensor: tflite.Tensor, what: str) -> None:
    quantization = tensor.Quantization()
    scales = 0 if quantization is None else quantization.ScaleLength()
    if scales == 0:
        return
    zero_points = quantization.ZeroPointAsNumpy()
    listed = np.atleast_1d(zero_points).tolist()
    if quantization.ZeroPointLength() != scales:
        raise UserError(
            f"{what} has {scales} scales and {quantization.ZeroPointLength()} zero points; there "
            "has to be a zero point for each scale"
        )
    if scales > 1 and np.any(zero_points):
        raise UserError(
            f"{what} has {scales} scales with the zero points {listed}; a scale per channel needs "
            "zero points of 0"
        )
    limits = _ZERO_POINTS.get(tensor.Type())
    if limits is not None and np.any((zero_points < limits.min) | (zero_points > limits.max)):
        raise UserError(
            f"{what} has a zero point outside of its type {type_name(tensor.Type())}: {listed}"
        )
    values = quantization.ScaleAsNumpy()
    # A channel whose weights are all 0 may have a scale of 0: its result is 0 then.
    if not np.all(np.isfinite(values)) or np.any(values < 0) or (scales == 1 and values[0] == 0):
        raise UserError(f"{what} has a quantization scale that is not a positive number")
    axis = quantization.QuantizedDimension()
    if scales > 1 and not 0 <= axis < tensor.ShapeLength():
        raise UserError(
            f"{what} has a scale for each index along axis {axis}, but only "
            f"{tensor.ShapeLength()} axes"
        )
    if scales > 1 and tensor.Shape(axis) != scales:
        raise UserError(
            f"{what} has {scales} scales for the {tensor.Shape(axis)} indices along axis {axis}"
        )


def refuse_operators(model: NamedModel, label: str) -> None:
    """Name every operator that has no converter, and every mix of types that has none."""
    graph = model.Subgraphs(0)
    # An instance only for its tables; it converts nothing.
    tables = Converter(model, graph, None, None)
    problems: dict[int, str] = {}  # by position
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = operator_name(model, operator)
        where = _title(model, operator)
        if code not in tables.convert_map or code.startswith("STABLEHLO"):
            problems[i] = where
            continue
        quantized = [
            bool(wrapper.qnn_params)
            for wrapper in tables.get_input_tensors(operator)
            if wrapper.tensor_idx >= 0
        ]
        results = [bool(wrapper.qnn_params) for wrapper in tables.get_output_tensors(operator)]
        if any(quantized[1:]) and not quantized[0] and not any(results) and code not in DATA_INPUT:
            problems[i] = (
                f"{where} with float activations and weights that quantized operators read, too "
                "(convert with full integer quantization)"
            )
        elif any(quantized + results) and code not in tables._SUPPORTED_QUANTIZED_OPS:
            problems[i] = f"{where} on quantized tensors"
    if problems:
        listed = "; ".join(problems.values())
        advice = suggestion(named_graph(model), problems)
        raise UserError(f"{label}: unsupported operators: {listed}{advice}")


def _title(model: NamedModel, operator: tflite.Operator) -> str:
    graph = model.Subgraphs(0)
    output = graph.names[operator.Outputs(0)] if operator.OutputsLength() else ""
    return f"{operator_name(model, operator)} ({output!r})"
