"""Layers with weights between dequantize and quantize, as int8 operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax

from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import UNSIGNED_LAYERS, shape_of
from ..operators import quantized as factors
from ..operators.sum_range import SumRange
from .epilogue import Epilogue
from .integer_operand import (
    Quantized,
    Refusal,
    integer_clamp,
    integer_factors,
    none_unless_quantized,
    refuse_overflow,
)

if TYPE_CHECKING:
    from .integer_arithmetic import IntegerRewriter

_INT32 = np.iinfo(np.int32)


def conv2d(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Convolution with one scale of the weights for each or for all output channels."""
    source = rewriter.quantized(call.args[0])
    if source is None:
        return none_unless_quantized(rewriter, call.args[0])
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NHWC", "OHWI", "NHWC"):
        raise Refusal(f"its layout is {a.data_layout}, {a.kernel_layout}")
    weight, weight_zero_point = _weight(rewriter, call.args[1])
    epilogue = rewriter.epilogue(var, bias=True)
    # LiteRT multiplies the scales of a convolution in float32 if its tensors are uint8.
    factors_of = factors.dense_factors if _unsigned(rewriter) else factors.convolution_factors
    return rewriter.dero(
        "conv2d",
        _operands(source, weight, weight_zero_point, epilogue, factors_of),
        epilogue.absorbed,
        strides=a.strides,
        padding=a.padding,
        dilation=a.dilation,
        groups=a.groups,
        input_zero_point=source.zero_point,
        weight_zero_point=weight_zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rewriter.rounding,
        **integer_clamp(epilogue),
    )


def matmul(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Product with a constant matrix, as a dense layer."""
    source = rewriter.quantized(call.args[0])
    if source is None:
        return none_unless_quantized(rewriter, *call.args)
    weight, weight_zero_point = _weight(rewriter, call.args[1])
    if len(weight.shape) != 2 or len(shape_of(call.args[0])) < 2:
        raise Refusal("it is not a matrix of weights times rows of data")
    weight = weight.transpose((1, 0))
    # LiteRT multiplies sums by the factor in float64 if the tensors are uint8.
    rounding = "away" if _unsigned(rewriter) else rewriter.rounding
    factors_of = factors.convolution_factors if _unsigned(rewriter) else factors.dense_factors
    epilogue = rewriter.epilogue(var, bias=True)
    return rewriter.dero(
        "dense",
        _operands(source, weight, weight_zero_point, epilogue, factors_of),
        epilogue.absorbed,
        input_zero_point=source.zero_point,
        weight_zero_point=weight_zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rounding,
        **integer_clamp(epilogue),
    )


def _unsigned(rewriter: IntegerRewriter) -> bool:
    return bool(rewriter.attrs.get(UNSIGNED_LAYERS, False))


def _operands(
    source: Quantized,
    weight: ConstantTensor,
    weight_zero_point: int,
    epilogue: Epilogue,
    factors_of: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> list[relax.Expr]:
    """Data, weights [channels, ...], bias, multipliers and shifts.  Raises :class:`Refusal`."""
    channels = weight.shape[0]
    scales = _scales(weight, 0)
    multiplier, shift = integer_factors(factors_of, source.scale, scales, epilogue.scale, channels)
    bias = _bias(epilogue, source.scale, scales, channels)
    taps = weight.values.reshape(channels, -1).astype(np.int64) - weight_zero_point
    sums = SumRange.of(taps, source.zero_point).with_bias(bias)
    refuse_overflow(sums, multiplier, shift)
    constants = (weight.values, bias, multiplier, shift)
    return [source.data, *(relax.const(array) for array in constants)]


def _weight(rewriter: IntegerRewriter, expr: relax.Expr) -> tuple[ConstantTensor, int]:
    """int8 weights, and their one zero point.  Raises :class:`Refusal`.

    It is 0, which is what the kernels of Arm cores know, wherever the weights less their zero
    points fit int8; otherwise as close to 0 as they allow.
    """
    weight = rewriter.constant(expr)
    if weight is None:
        raise Refusal("its weights are not constant")
    if not weight.is_quantized or weight.zero_point is None:
        raise Refusal("its weights are not quantized")
    if weight.values.dtype != np.int8:
        raise Refusal(f"its weights are {weight.values.dtype}, not int8")
    centred = weight.values.astype(np.int64) - weight.zero_point
    least, greatest = factors.INT8_MIN - centred.min(), factors.INT8_MAX - centred.max()
    if least > greatest:
        raise Refusal("its weights less their zero points span more than 8 bits")
    zero_point = int(np.clip(0, least, greatest))
    values = (centred + zero_point).astype(np.int8)
    return replace(weight, values=values, zero_point=np.full_like(centred, zero_point)), zero_point


def _scales(weight: ConstantTensor, axis: int) -> list[float] | float:
    """The weights' scale for each output channel, or the one for all."""
    assert weight.scale is not None
    vector = weight.along(weight.scale, axis)
    if vector is None:
        raise Refusal("its weights have scales along an axis other than the output channels")
    if (vector == vector[0]).all():
        return float(vector[0])
    return [float(scale) for scale in vector]


def _bias(
    epilogue: Epilogue, input_scale: float, scales: list[float] | float, channels: int
) -> np.ndarray:
    """int32 in units of the accumulator."""
    if epilogue.bias is None:
        return np.zeros(channels, np.int32)
    bias = epilogue.bias
    unit = np.broadcast_to(np.float64(np.float32(input_scale)) * np.asarray(scales), (channels,))
    if bias.is_quantized and bias.zero_point is not None and not bias.zero_point.any():
        # Converters compute the bias' scale as this product, with a rounding of their own.
        if bias.scale is not None and np.allclose(bias.scale, unit, rtol=1e-4, atol=0.0):
            return np.ascontiguousarray(bias.values).astype(np.int32)
    rounded = np.rint(bias.real().astype(np.float64) / unit)
    if (rounded < _INT32.min).any() or (rounded > _INT32.max).any():
        raise Refusal("its bias does not fit 32 bits in units of the accumulator")
    return rounded.astype(np.int32)
