"""Layers that remember: what they compute, and what they leave for the next inference.

Their states are variable tensors, of which the converter's table of tensors has what an operator
finds, and from then on what it leaves (see `variables`).
"""

from __future__ import annotations

import numpy as np
import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import TensorWrapper

from relax_passes.operators import make_call
from relax_passes.operators import quantized as factors

from .constant_shapes import options_of
from .converter import Converter, rule


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


def scale_of(tensor: TensorWrapper) -> tuple[float, int]:
    """The one scale and zero point of a quantized tensor; ValueError if it has none or several."""
    parameters = tensor.qnn_params
    if not parameters or parameters["scale"].value.numpy().shape:
        raise ValueError(f"{tensor.tensor.Name().decode()!r} does not have one scale")
    return (
        float(parameters["scale"].value.numpy()),
        int(parameters["zero_point"].value.numpy()),
    )
