"""Arithmetic operators that TVM's TFLite importer lacks when quantized, or gets wrong."""

from __future__ import annotations

from collections.abc import Callable

import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import TensorWrapper

from relax_passes.operators import make_call
from relax_passes.operators import quantized as factors
from relax_passes.operators.fixed_point import quantize_multiplier
from relax_passes.operators.softmax_int16 import MOST_INT16_CHANNELS, softmax_tables

from .constant_shapes import options_of
from .converter import Converter, Rule, rule, scale_of


def _f32(value: float) -> ir.Expr:
    return relax.const(value, "float32")


@rule("ELU")
def _elu(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def elu(data: ir.Expr) -> ir.Expr:
        # exp of the positive part could overflow.
        negative = relax.op.minimum(data, _f32(0.0))
        return relax.op.add(
            relax.op.nn.relu(data), relax.op.subtract(relax.op.exp(negative), _f32(1.0))
        )

    return converter.through_float(op, elu)


@rule("GELU")
def _gelu(converter: Converter, op: tflite.Operator) -> ir.Expr:
    approximate = options_of(op, tflite.GeluOptions).Approximate()
    return converter.through_float(op, relax.op.nn.gelu_tanh if approximate else relax.op.nn.gelu)


@rule("SQUARE")
def _square(converter: Converter, op: tflite.Operator) -> ir.Expr:
    return converter.through_float(op, lambda data: relax.op.multiply(data, data))


@rule("L2_NORMALIZATION")
def _l2_normalization(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def normalize(data: ir.Expr) -> ir.Expr:
        squares = relax.op.sum(relax.op.multiply(data, data), axis=-1, keepdims=True)
        # LiteRT divides by at least this norm.
        norm = relax.op.maximum(relax.op.sqrt(squares), _f32(1e-6))
        return relax.op.divide(data, norm)

    return converter.through_float(op, normalize)


@rule("LOCAL_RESPONSE_NORMALIZATION")
def _local_response(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.LocalResponseNormalizationOptions)
    return make_call(
        "local_response_norm",
        [converter.get_tensor_expr(converter.get_input_tensors(op)[0])],
        before=options.Radius(),
        after=options.Radius(),
        bias=options.Bias(),
        factor=options.Alpha(),
        exponent=options.Beta(),
    )


def prelu(data: ir.Expr, alpha: ir.Expr) -> ir.Expr:
    """PRELU of real numbers."""
    negative = relax.op.minimum(data, _f32(0.0))
    return relax.op.add(relax.op.nn.relu(data), relax.op.multiply(alpha, negative))


@rule("SOFTMAX")
def _softmax(converter: Converter, op: tflite.Operator) -> ir.Expr:
    beta = options_of(op, tflite.SoftmaxOptions).Beta()
    (data, *_), (out, *_) = converter.get_input_tensors(op), converter.get_output_tensors(op)
    if data.tensor.Type() == tflite.TensorType.INT16:
        return _softmax_of_int16(converter, data, out, beta)
    if out.tensor.Type() == tflite.TensorType.INT16:
        return _softmax_in_int16(converter, data, out, beta)

    def softmax(data: ir.Expr) -> ir.Expr:
        if beta != 1.0:
            data = relax.op.multiply(data, _f32(beta))
        return relax.op.nn.softmax(data, axis=-1)

    return converter.through_float(op, softmax)


def _softmax_of_int16(
    converter: Converter, data: TensorWrapper, out: TensorWrapper, beta: float
) -> ir.Expr:
    """Of int16 data, with half of the result's range."""
    (scale, zero_in), (out_scale, zero_out) = scale_of(data), scale_of(out)
    symmetric = zero_in == zero_out == 0 and abs(out_scale * 32768 - 1) <= 1e-3
    if out.tensor.Type() != tflite.TensorType.INT16 or not symmetric:
        raise ValueError("a softmax of int16 gives int16 with a scale of 1/32768, zero points of 0")
    expr = converter.bb.normalize(converter.get_tensor_expr(data))
    if converter.static_shape(expr)[-1] > MOST_INT16_CHANNELS:
        raise ValueError(f"a softmax of int16 has at most {MOST_INT16_CHANNELS:,} channels")
    operands = [expr, *(relax.const(table) for table in softmax_tables())]
    return make_call("softmax", operands, **factors.softmax_int16_factors(scale, beta))


def _softmax_in_int16(
    converter: Converter, data: TensorWrapper, out: TensorWrapper, beta: float
) -> ir.Expr:
    """Of int8 data, with the result's whole range."""
    scale, _ = scale_of(data)
    out_scale, zero_point = scale_of(out)
    # As near as LiteRT wants it.
    whole_range = abs(out_scale * 65536 - 1) <= 1e-3 and zero_point == -32768
    if data.tensor.Type() != tflite.TensorType.INT8 or not whole_range:
        raise ValueError("a softmax gives int16 of int8, with a scale of 1/65536 from -32768 on")
    attributes = factors.softmax_factors(scale, beta)
    return make_call("softmax", [converter.get_tensor_expr(data)], output="int16", **attributes)


@rule("QUANTIZE")
def _quantize(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """From one scale to another; where int16 or int32 take part, in integers as LiteRT does."""
    (data,), (out,) = converter.get_input_tensors(op), converter.get_output_tensors(op)
    kinds = [converter.get_tensor_type_str(tensor.tensor.Type()) for tensor in (data, out)]
    if not {"int16", "int32"} & set(kinds) or "float32" in kinds:
        return converter.convert_quantize(op)
    (scale, zero_in), (out_scale, zero_out) = scale_of(data), scale_of(out)
    multiplier, shift = quantize_multiplier(scale / out_scale)
    return make_call(
        "requantize",
        [converter.get_tensor_expr(data)],
        input_zero_point=zero_in,
        output_zero_point=zero_out,
        multiplier=multiplier,
        shift=shift,
        dtype=kinds[1],
    )


@rule("FULLY_CONNECTED")
def _fully_connected(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """All leading dimensions together are the batch, unless the weight says they are features."""
    data, weight = converter.get_input_tensors(op)[:2]
    expr = converter.bb.normalize(converter.get_tensor_expr(data))
    shape = converter.static_shape(expr)
    units, depth = converter.get_tensor_shape(weight)
    if len(shape) == 2 and shape[1] == depth:
        return converter.convert_fully_connected(op)
    name = data.tensor.Name().decode()
    flat = converter.bb.normalize(relax.op.reshape(expr, [-1, depth]))
    keep = options_of(op, tflite.FullyConnectedOptions).KeepNumDims()
    converter.exp_tab.set_expr(name, flat, force_override=True)
    try:
        out = converter.bb.normalize(converter.convert_fully_connected(op))
    finally:
        converter.exp_tab.set_expr(name, expr, force_override=True)
    return relax.op.reshape(out, [*shape[:-1], units]) if keep else out


@rule("BATCH_MATMUL")
def _batch_matmul(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """Of any ranks; leading axes are broadcast."""
    options = options_of(op, tflite.BatchMatMulOptions)

    def product(left: ir.Expr, right: ir.Expr) -> ir.Expr:
        return relax.op.matmul(
            transposed(left) if options.AdjX() else left,
            transposed(right) if options.AdjY() else right,
        )

    def transposed(expr: ir.Expr) -> ir.Expr:
        rank = len(converter.static_shape(expr))
        return converter.bb.normalize(
            relax.op.permute_dims(expr, [*range(rank - 2), rank - 1, rank - 2])
        )

    return converter.through_float(op, product, inputs=(0, 1))


def _index_of_extreme(function: Callable) -> Rule:
    def convert(converter: Converter, op: tflite.Operator) -> ir.Expr:
        data, axis = converter.get_input_tensors(op)
        out = function(
            converter.get_tensor_expr(data), axis=int(converter.get_tensor_value(axis).item())
        )
        kind = converter.get_output_tensors(op)[0].tensor.Type()
        return relax.op.astype(out, converter.get_tensor_type_str(kind))

    return convert


rule("ARG_MAX")(_index_of_extreme(relax.op.argmax))
rule("ARG_MIN")(_index_of_extreme(relax.op.argmin))
