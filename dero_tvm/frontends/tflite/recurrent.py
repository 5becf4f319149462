"""Layers that remember: what they compute, and what they leave for the next inference.

Their states are variable tensors, of which the converter's table of tensors has what an operator
finds, and from then on what it leaves (see `variables`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import TensorWrapper

from relax_passes.operators import make_call
from relax_passes.operators import quantized as factors
from relax_passes.operators.sigmoid_table import sigmoid_table

from ..recurrent_layers import lstm
from .constant_shapes import options_of
from .converter import Converter, rule, scale_of

_HIDDEN, _CELL_END = 18, 20  # the states among the operands of an LSTM


@rule("SVDF")
def _svdf(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.SVDFOptions)
    tensors = [converter.tensor_of(op.Inputs(i)) for i in range(op.InputsLength())]
    data, feature, time, bias, state = tensors
    values = [converter.get_tensor_value(tensor) for tensor in (feature, time)]
    units = values[0].shape[0] // options.Rank()
    (out,) = converter.get_output_tensors(op)
    real = not data.qnn_params
    zero = np.zeros(units, "float32" if real else "int32")
    biases = zero if bias.tensor_idx < 0 else converter.get_tensor_value(bias)
    update, result = {}, {}
    if not real:
        scales = [scale_of(tensor) for tensor in (data, feature, state, time, out)]
        multipliers = factors.svdf_factors(*(scale for scale, _ in scales))
        (_, zero_in), (_, zero_feature), (_, zero_state), (_, zero_time), (_, zero_out) = scales
        if zero_feature or zero_time:
            raise ValueError("its weights have zero points other than 0")
        update = {"input_zero_point": zero_in, "state_zero_point": zero_state} | multipliers[0]
        result = {"state_zero_point": zero_state, "output_zero_point": zero_out} | multipliers[1]
    weights = [relax.const(value) for value in values]
    operands = [converter.get_tensor_expr(data), converter.get_tensor_expr(state), weights[0]]
    left = converter.bb.normalize(make_call("svdf_update", operands, **update))
    converter.leave(state, left)
    filtered = make_call(
        "svdf_filter", [left, weights[1], relax.const(biases)], rank=options.Rank(), **result
    )
    activation = options.FusedActivationFunction()
    # LiteRT's integer kernels take no notice of it: the output's range is that of its int8.
    return converter.convert_fused_activation_function(filtered, activation) if real else filtered


@rule("UNIDIRECTIONAL_SEQUENCE_LSTM")
def _lstm(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.UnidirectionalSequenceLSTMOptions)
    count = op.InputsLength()
    tensors = [converter.tensor_of(op.Inputs(i) if i < count else -1) for i in range(24)]
    _refuse_variants([tensor.tensor_idx >= 0 for tensor in tensors], options)
    data, hidden, cell = tensors[0], *tensors[_HIDDEN:_CELL_END]
    inner, recurrent, biases = tensors[1:5], tensors[5:9], tensors[12:16]
    real = not data.qnn_params
    stacked = [
        relax.const(np.concatenate([converter.get_tensor_value(t) for t in group]))
        for group in (inner, recurrent, biases)
    ]
    attrs: dict[str, Any] = {"time_major": bool(options.TimeMajor())}
    clip = options.CellClip()
    if real:
        attrs["cell_clip"] = clip if clip > 0 else None
    else:
        (out,) = converter.get_output_tensors(op)
        stacked += _integers(data, hidden, cell, out, inner, recurrent, attrs)
        if clip > 0:
            attrs["cell_clip"] = int(min(clip / scale_of(cell)[0], 32767.0))
    operands = [converter.get_tensor_expr(tensor) for tensor in (data, hidden, cell)]
    sequence, *left = lstm(converter.bb, [*operands, *stacked], **attrs)
    for state, values in zip((hidden, cell), left):
        converter.leave(state, values)
    return sequence


def _refuse_variants(given: list[bool], options: Any) -> None:
    """ValueError for what TensorFlow Lite Micro has no kernel for either."""
    variants = {
        "coupled input and forget gates": not all(given[1:9]),
        "peepholes": any(given[9:12]),
        "no biases": not all(given[12:16]),
        "a projection": any(given[16:18]),
        "layer normalization": any(given[20:24]),
        "an activation other than tanh": options.FusedActivationFunction()
        != tflite.ActivationFunctionType.TANH,
    }
    for what, found in variants.items():
        if found:
            raise ValueError(f"an LSTM with {what} is not supported; train it without")


def _integers(
    data: TensorWrapper,
    hidden: TensorWrapper,
    cell: TensorWrapper,
    out: TensorWrapper,
    inner: list[TensorWrapper],
    recurrent: list[TensorWrapper],
    attrs: dict[str, Any],
) -> list[ir.Expr]:
    """The operands that int8 has besides, and attributes added to `attrs`."""
    if cell.tensor.Type() != tflite.TensorType.INT16:
        raise ValueError("an int8 LSTM needs a cell state of int16")
    if scale_of(hidden) != scale_of(out):
        raise ValueError("its output has another scale or zero point than its hidden state")
    weights = [scale_of(tensor) for tensor in (*inner, *recurrent)]
    if any(zero_point for _, zero_point in weights):
        raise ValueError("its weights have zero points other than 0")
    (scale, zero_in), (hidden_scale, zero_hidden) = scale_of(data), scale_of(hidden)
    cell_scale, _ = scale_of(cell)
    power = math.log2(cell_scale)
    if power != round(power):
        raise ValueError(f"the scale of its cell state, {cell_scale}, is not a power of two")
    scales = [scale for scale, _ in weights]
    multiplier, shift, products = factors.lstm_factors(
        scale, scales[:4], hidden_scale, scales[4:], cell_scale
    )
    attrs |= {"cell_power": round(power), "products": products}
    attrs |= {"input_zero_point": zero_in, "hidden_zero_point": zero_hidden}
    return [relax.const(values) for values in (multiplier, shift, sigmoid_table())]
