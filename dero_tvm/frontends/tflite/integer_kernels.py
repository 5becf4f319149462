"""Operators whose integer arithmetic is LiteRT's own, imported as operators of this project's set.

What LiteRT computes for them in integers is not what rounding the real result would give, so
between dequantize and quantize nothing of it would be left to recognize.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import TensorWrapper

from relax_passes.operators import make_call
from relax_passes.operators import quantized as factors
from relax_passes.operators.indexing import MAXIMUM_RANK

from .arithmetic import prelu
from .constant_shapes import options_of
from .converter import Converter, rule, scale_of

Quantization = tuple[float, int]
"""Scale and zero point."""


def _int8(
    converter: Converter, op: tflite.Operator, inputs: int
) -> tuple[list[ir.Expr], list[Quantization]] | None:
    """The first `inputs` operands, and their quantization and then the output's.

    None if they are not all int8 with one scale, or of a rank that kernels do not take, or if all
    are constants.
    """
    tensors = [*converter.get_input_tensors(op)[:inputs], *converter.get_output_tensors(op)]
    if any(
        tensor.tensor.Type() != tflite.TensorType.INT8
        or not tensor.qnn_params
        or tensor.qnn_params["scale"].value.numpy().shape
        for tensor in tensors
    ):
        return None
    if not any(converter.has_expr(tensor.tensor_idx) for tensor in tensors[:-1]):
        return None
    operands = [converter.get_tensor_expr(tensor) for tensor in tensors[:-1]]
    if any(not 1 <= len(converter.static_shape(expr)) <= MAXIMUM_RANK for expr in operands):
        return None
    quantization = [
        (
            float(tensor.qnn_params["scale"].value.numpy()),
            int(tensor.qnn_params["zero_point"].value.numpy()),
        )
        for tensor in tensors
    ]
    return operands, quantization


def _zero_points(quantization: list[Quantization]) -> tuple[int, ...]:
    return tuple(zero_point for _, zero_point in quantization)


@rule("PRELU")
def _prelu(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data, slope = converter.get_input_tensors(op)
    if data.tensor.Type() == tflite.TensorType.INT16:
        return _prelu_of_int16(converter, op, data, slope)
    found = _int8(converter, op, 2)
    if found is None:
        return converter.through_float(op, prelu, inputs=(0, 1))
    operands, quantization = found
    first, second, third = (scale for scale, _ in quantization)
    scales = factors.prelu_factors(first, second, third)
    return make_call("prelu", operands, zero_points=_zero_points(quantization), **scales)


def _prelu_of_int16(
    converter: Converter, op: tflite.Operator, data: TensorWrapper, slope: TensorWrapper
) -> ir.Expr:
    """With slopes of int8, as TensorFlow Lite Micro has it; LiteRT has none of int16."""
    if slope.tensor.Type() != tflite.TensorType.INT8:
        raise ValueError("a PRELU of int16 has slopes of int8")
    quantization = [scale_of(t) for t in (data, slope, *converter.get_output_tensors(op))]
    slopes = relax.const(converter.get_tensor_value(slope).astype(np.int16))
    first, second, third = (scale for scale, _ in quantization)
    scales = factors.prelu_factors(first, second, third, "int16")
    operands = [converter.get_tensor_expr(data), slopes]
    return make_call("prelu", operands, zero_points=_zero_points(quantization), **scales)


@rule("SQUARED_DIFFERENCE")
def _squared_difference(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def squared(a: ir.Expr, b: ir.Expr) -> ir.Expr:
        difference = converter.bb.normalize(relax.op.subtract(a, b))
        return relax.op.multiply(difference, difference)

    found = _int8(converter, op, 2)
    attributes: dict[str, Any] = {}
    if found is not None:
        operands, quantization = found
        try:
            scales = factors.squared_difference_factors(*(scale for scale, _ in quantization))
            attributes = {"zero_points": _zero_points(quantization), **scales}
        except ValueError:  # LiteRT ends the process
            found = None
    if found is None:
        return converter.through_float(op, squared, inputs=(0, 1))
    return make_call("squared_difference", operands, **attributes)


@rule("RESIZE_BILINEAR")
def _resize_bilinear(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data = converter.get_input_tensors(op)[0]
    found = _int8(converter, op, 1)
    operands = [] if found is None else found[0]
    if data.tensor.Type() == tflite.TensorType.INT16:
        operands = [converter.get_tensor_expr(data)]
    if not operands:
        return converter.convert_resize_bilinear(op)
    options = options_of(op, tflite.ResizeBilinearOptions)
    if options.AlignCorners() and options.HalfPixelCenters():
        raise ValueError("align_corners and half_pixel_centers exclude each other")
    coordinates = "align_corners" if options.AlignCorners() else "asymmetric"
    if options.HalfPixelCenters():
        coordinates = "half_pixel"
    size = converter.get_tensor_value(converter.get_input_tensors(op)[1])
    return make_call(
        "resize_bilinear",
        operands,
        size=tuple(int(length) for length in size),
        coordinates=coordinates,
    )
