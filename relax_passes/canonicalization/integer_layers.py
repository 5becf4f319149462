"""Operands of layers with int8 weights: what convolutions and dense layers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from tvm import relax

from ..ir.attributes import UNSIGNED_LAYERS
from ..ir.constant_tensor import ConstantTensor, exact_constant
from ..operators.fixed_point import INT8_MAX, INT8_MIN, onnx_rounding
from ..operators.quantized import reduced_factors
from ..operators.rules.registry import Refusal
from ..operators.sum_range import SumRange
from .epilogue import Epilogue
from .integer_arithmetic import IntegerRewriter
from .integer_operand import Quantized, integer_factors, refuse_overflow

_INT32 = np.iinfo(np.int32)
_MOST_OFF = 0.125  # steps of a result, by which a bias may be off


def are_unsigned(rewriter: IntegerRewriter) -> bool:
    """Whether the network's layers with weights had uint8 tensors: LiteRT treats them otherwise."""
    return bool(rewriter.attrs.get(UNSIGNED_LAYERS, False))


def layer_operands(
    source: Quantized,
    weight: ConstantTensor,
    weight_zero_point: int,
    epilogue: Epilogue,
    factors_of: Callable[..., tuple[np.ndarray, np.ndarray]],
    rounding: str,
) -> tuple[list[relax.Expr], str]:
    """Data, weights [channels, ...], bias, multipliers and shifts; the rounding that these need.

    Raises :class:`Refusal`.
    """
    channels = weight.shape[0]
    scales = _scales(weight, 0)
    factors = integer_factors(
        factors_of, source.scale, scales, epilogue.scale, channels, source.dtype
    )
    multiplier, shift = factors
    bias = _bias(epilogue, source.scale, scales, channels)
    taps = weight.values.reshape(channels, -1).astype(np.int64) - weight_zero_point
    sums = SumRange.of(taps, source.zero_point, source.dtype).with_bias(bias)
    if source.dtype == "int16" and (epilogue.bias is None or bias.dtype == np.int64):
        rounding = "reduced"
        multiplier, shift = integer_factors(reduced_factors, multiplier, shift)
        bias = bias.astype(np.int32 if sums.narrow else np.int64)
    refuse_overflow(sums, multiplier, shift, rounding)
    constants = (weight.values, bias, multiplier, shift)
    operands = [source.data, *(exact_constant(array) for array in constants)]
    return operands, onnx_rounding(rounding, multiplier, shift, sums.greatest)


def int8_weight(
    rewriter: IntegerRewriter,
    expr: relax.Expr,
    move: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> tuple[ConstantTensor, int]:
    """int8 weights, moved by `move`, and their one zero point.  Raises :class:`Refusal`.

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
    weight = weight.moved(move)
    assert weight.zero_point is not None
    centred = weight.values.astype(np.int64) - weight.zero_point
    least, greatest = INT8_MIN - centred.min(), INT8_MAX - centred.max()
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
    """int32, or int64 as the network has it, in units of the accumulator."""
    if epilogue.bias is None:
        return np.zeros(channels, np.int32)
    bias = epilogue.bias
    unit = np.broadcast_to(np.float64(np.float32(input_scale)) * np.asarray(scales), (channels,))
    if bias.is_quantized and bias.zero_point is not None and not bias.zero_point.any():
        # Converters compute the bias' scale as this product, with a rounding of their own.
        if bias.scale is not None and np.allclose(bias.scale, unit, rtol=1e-4, atol=0.0):
            wide = bias.values.dtype == np.int64
            return np.ascontiguousarray(bias.values).astype(np.int64 if wide else np.int32)
    exact = bias.real().astype(np.float64) / unit
    rounded = np.rint(exact)
    # What is no whole number of units is several steps of a result with a smaller scale.
    assert epilogue.scale is not None, "of the layers that stay float nobody asks this"
    steps = float((np.abs(rounded - exact) * unit).max(initial=0.0)) / epilogue.scale
    if steps > _MOST_OFF:
        raise Refusal(f"its bias in whole units of its sums would be {steps:.2g} steps off")
    if (rounded < _INT32.min).any() or (rounded > _INT32.max).any():
        raise Refusal("its bias does not fit 32 bits in units of the accumulator")
    return rounded.astype(np.int32)
