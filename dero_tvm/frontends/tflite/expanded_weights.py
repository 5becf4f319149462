"""Weights that a file keeps in fewer bits than its operators compute with, as float32.

With dynamic-range quantization weights are int8, data and results float32; with float16
quantization DEQUANTIZE makes float32 of constants.  Both are float32 networks here: the weights
are expanded as the file is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import tflite

from .converter import quantization_of
from .folding import dequantized
from .reader import NamedModel, NamedSubGraph, constant_value, operator_name

_CONVERSIONS = ("DEQUANTIZE", "QUANTIZE")


def expand_weights(model: NamedModel) -> list[str]:
    """Have `model` show quantized weights of float32 operators in float32; a note of each kind."""
    graph = model.Subgraphs(0)
    operators = [graph.Operators(position) for position in range(graph.OperatorsLength())]
    weights: set[int] = set()
    kept: set[int] = set()
    layers = halves = 0
    for operator in operators:
        code = operator_name(model, operator)
        found = set(_quantized_constants(model, graph, operator))
        if code not in _CONVERSIONS and found and _is_float(model, graph, operator):
            weights |= found
            layers += 1
        else:
            kept |= found
        if code == "DEQUANTIZE":
            source = graph.Tensors(operator.Inputs(0))
            halves += source.Type() == tflite.TensorType.FLOAT16
    model.expanded = {
        index: dequantized(values, quantization_of(graph.Tensors(index)))
        for index in sorted(weights - kept)
        if (values := constant_value(model, graph.Tensors(index))) is not None
    }
    notes = []
    if model.expanded:
        notes.append(
            f"the quantized weights of {layers} operator{'s' if layers > 1 else ''} on float32 "
            "data are expanded to float32 (dynamic-range quantization): LiteRT would quantize the "
            "data as it runs, so its results are a little different; a file with full integer "
            "quantization needs a fourth of the memory"
        )
    if halves:
        notes.append(
            f"{halves} float16 {'constant is' if halves == 1 else 'constants are'} expanded to "
            "float32"
        )
    return notes


def _quantized_constants(
    model: NamedModel, graph: NamedSubGraph, operator: tflite.Operator
) -> Iterator[int]:
    for index in (operator.Inputs(i) for i in range(operator.InputsLength())):
        if index >= 0 and graph.Tensors(index).Quantization() is not None:
            if constant_value(model, graph.Tensors(index)) is not None:
                yield index


def _is_float(model: NamedModel, graph: NamedSubGraph, operator: tflite.Operator) -> bool:
    """True if all that the operator computes from, but for constants, and computes is float32."""
    inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]
    results = [operator.Outputs(i) for i in range(operator.OutputsLength())]
    computed = [
        index
        for index in inputs
        if index >= 0 and constant_value(model, graph.Tensors(index)) is None
    ]
    types = {graph.Tensors(index).Type() for index in (*computed, *results)}
    return bool(computed) and types == {tflite.TensorType.FLOAT32}
