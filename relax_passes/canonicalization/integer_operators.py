"""How each float operator between dequantize and quantize becomes an int8 operator.

A handler returns the new expression.  It raises :class:`Refusal` with the reason if one of the
operands is quantized but the operator must stay in float, and returns None if none is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax

from ..operators import quantized as factors
from .constant_tensor import ConstantTensor
from .dataflow import dtype_of, is_call, shape_of
from .epilogue import Epilogue, take_integer_clamp

if TYPE_CHECKING:
    from .integer_arithmetic import IntegerRewriter

_INT32 = np.iinfo(np.int32)


class Refusal(Exception):
    """Why an operator on quantized tensors stays in float."""


@dataclass(frozen=True)
class Quantized:
    """A new int8 tensor with what its integers mean."""

    data: relax.Expr
    scale: float
    zero_point: int


Handler = Callable[["IntegerRewriter", relax.Var, Any], "relax.Expr | None"]


# --- layers with weights ---------------------------------------------------------------------


def _conv2d(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if source is None:
        _refuse_quantized(rewriter, call.args[0])
        return None
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NHWC", "OHWI", "NHWC"):
        raise Refusal(f"its layout is {a.data_layout}, {a.kernel_layout}")
    weight = _weight(rewriter, call.args[1])
    epilogue = rewriter.epilogue(var, bias=True)
    assert weight.scale is not None
    scales = _scales(weight, 0)
    multiplier, shift = _factors(
        factors.convolution_factors, source.scale, scales, epilogue.scale, weight.shape[0]
    )
    return rewriter.dero(
        "conv2d",
        [
            source.data,
            relax.const(weight.values),
            _bias(epilogue, source.scale, scales, weight.shape[0]),
            relax.const(multiplier),
            relax.const(shift),
        ],
        epilogue.absorbed,
        strides=a.strides,
        padding=a.padding,
        dilation=a.dilation,
        groups=a.groups,
        input_zero_point=source.zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rewriter.rounding,
        **_clamp(epilogue),
    )


def _matmul(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if source is None:
        _refuse_quantized(rewriter, *call.args)
        return None
    weight = _weight(rewriter, call.args[1])
    if len(weight.shape) != 2 or len(shape_of(call.args[0])) < 2:
        raise Refusal("it is not a matrix of weights times rows of data")
    weight = weight.transpose((1, 0))
    epilogue = rewriter.epilogue(var, bias=True)
    scales = _scales(weight, 0)
    multiplier, shift = _factors(
        factors.dense_factors, source.scale, scales, epilogue.scale, weight.shape[0]
    )
    return rewriter.dero(
        "dense",
        [
            source.data,
            relax.const(weight.values),
            _bias(epilogue, source.scale, scales, weight.shape[0]),
            relax.const(multiplier),
            relax.const(shift),
        ],
        epilogue.absorbed,
        input_zero_point=source.zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rewriter.rounding,
        **_clamp(epilogue),
    )


def _weight(rewriter: IntegerRewriter, expr: relax.Expr) -> ConstantTensor:
    """Symmetric int8 weights.  Raises :class:`Refusal`."""
    weight = rewriter.constant(expr)
    if weight is None:
        raise Refusal("its weights are not constant")
    if not weight.is_quantized or weight.zero_point is None:
        raise Refusal("its weights are not quantized")
    if weight.values.dtype != np.int8:
        raise Refusal(f"its weights are {weight.values.dtype}, not int8")
    if weight.zero_point.any():
        zero_points = sorted(set(np.asarray(weight.zero_point).reshape(-1).tolist()))
        raise Refusal(
            f"its weights have zero point {zero_points[0]}"
            if len(zero_points) == 1
            else f"its weights have {len(zero_points)} different zero points"
        )
    return weight


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
) -> relax.Expr:
    """int32 in units of the accumulator."""
    if epilogue.bias is None:
        return relax.const(np.zeros(channels, np.int32))
    bias = epilogue.bias
    unit = np.broadcast_to(np.float64(np.float32(input_scale)) * np.asarray(scales), (channels,))
    if bias.is_quantized and bias.zero_point is not None and not bias.zero_point.any():
        # Converters compute the bias' scale as this product, with a rounding of their own.
        if bias.scale is not None and np.allclose(bias.scale, unit, rtol=1e-4, atol=0.0):
            return relax.const(np.ascontiguousarray(bias.values).astype(np.int32))
    rounded = np.rint(bias.real().astype(np.float64) / unit)
    if (rounded < _INT32.min).any() or (rounded > _INT32.max).any():
        raise Refusal("its bias does not fit 32 bits in units of the accumulator")
    return relax.const(rounded.astype(np.int32))


# --- elementwise -----------------------------------------------------------------------------


def _sum(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    operands = _two_operands(rewriter, call)
    if operands is None:
        return None
    a, b = operands
    epilogue = rewriter.epilogue(var)
    subtract = is_call(call, "relax.subtract")
    function = factors.subtract_factors if subtract else factors.add_factors
    return rewriter.dero(
        "subtract" if subtract else "add",
        [a.data, b.data],
        epilogue.absorbed,
        zero_points=(a.zero_point, b.zero_point, epilogue.zero_point),
        rounding=rewriter.rounding,
        **_factors(function, a.scale, b.scale, epilogue.scale),
        **_clamp(epilogue),
    )


def _multiply(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    operands = _two_operands(rewriter, call)
    if operands is None:
        return None
    a, b = operands
    epilogue = rewriter.epilogue(var)
    multiplier, shift = _factors(factors.multiply_factors, a.scale, b.scale, epilogue.scale)
    return rewriter.dero(
        "multiply",
        [a.data, b.data],
        epilogue.absorbed,
        zero_points=(a.zero_point, b.zero_point, epilogue.zero_point),
        multiplier=multiplier,
        shift=shift,
        rounding=rewriter.rounding,
        **_clamp(epilogue),
    )


def _two_operands(rewriter: IntegerRewriter, call: Any) -> tuple[Quantized, Quantized] | None:
    a, b = (rewriter.quantized(arg) for arg in call.args)
    if not any(rewriter.is_quantized(arg) for arg in call.args):
        return None
    if a is None or b is None:
        raise Refusal("one of its operands is not quantized to int8 with one scale")
    return a, b


# --- windows and reductions ------------------------------------------------------------------


def _average_pool(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    if (a.layout, a.out_layout) != ("NHWC", "NHWC") or a.ceil_mode:
        return None
    window = {
        "kind": "average",
        "pool_size": a.pool_size,
        "strides": a.strides,
        "padding": a.padding,
        "dilation": a.dilation,
        "count_include_pad": a.count_include_pad,
        "rounding": rewriter.rounding,
    }
    if dtype_of(call) == "int32":
        return _integer_average_pool(rewriter, var, call, window)
    source = rewriter.quantized(call.args[0])
    if source is None:
        _refuse_quantized(rewriter, call.args[0])
        return None
    epilogue = rewriter.epilogue(var)
    same = (source.scale, source.zero_point) == (epilogue.scale, epilogue.zero_point)
    if not same:
        pair = _factors(factors.rescale_factors, source.scale, epilogue.scale)
        window["multiplier"], window["shift"] = pair
    return rewriter.dero(
        "pool2d",
        [source.data],
        epilogue.absorbed,
        input_zero_point=source.zero_point,
        output_zero_point=epilogue.zero_point,
        **window,
        **_clamp(epilogue),
    )


def _integer_average_pool(
    rewriter: IntegerRewriter, var: relax.Var, call: Any, window: dict[str, Any]
) -> relax.Expr | None:
    """``astype(avg_pool2d(astype(q, int32)), int8)``, as TFLite's pooling is imported."""
    widen = rewriter.old.definition(call.args[0])
    reader = rewriter.old.sole_reader(var)
    if not is_call(widen, "relax.astype") or dtype_of(widen.args[0]) != "int8" or reader is None:
        return None
    narrowed, narrow = reader
    if not is_call(narrow, "relax.astype") or dtype_of(narrow) != "int8":
        return None
    epilogue = Epilogue(narrowed, absorbed=[narrowed])
    take_integer_clamp(rewriter.old, epilogue)
    return rewriter.dero(
        "pool2d",
        [rewriter.new(widen.args[0])],
        epilogue.absorbed,
        minimum=epilogue.minimum,
        maximum=epilogue.maximum,
        **window,
    )


def _reduce(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if source is None:
        _refuse_quantized(rewriter, call.args[0])
        return None
    shape = shape_of(call.args[0])
    axes = range(len(shape)) if call.attrs.axis is None else call.attrs.axis
    axes = tuple(sorted(int(axis) % len(shape) for axis in axes))
    epilogue = rewriter.epilogue(var)
    if is_call(call, "relax.mean"):
        count = prod(shape[axis] for axis in axes)
        kind = "mean"
        multiplier, shift = _factors(factors.mean_factors, source.scale, epilogue.scale, count)
    else:
        kind = "sum"
        multiplier, shift = _factors(factors.rescale_factors, source.scale, epilogue.scale)
    return rewriter.dero(
        "reduce",
        [source.data],
        epilogue.absorbed,
        kind=kind,
        axes=axes,
        keepdims=call.attrs.keepdims,
        input_zero_point=source.zero_point,
        output_zero_point=epilogue.zero_point,
        multiplier=multiplier,
        shift=shift,
        rounding=rewriter.rounding,
        **_clamp(epilogue),
    )


def _softmax(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if source is None:
        _refuse_quantized(rewriter, call.args[0])
        return None
    if call.attrs.axis % len(shape_of(call)) != len(shape_of(call)) - 1:
        raise Refusal("it is not along the last axis")
    epilogue = rewriter.epilogue(var)
    if (epilogue.scale, epilogue.zero_point) != (1 / 256, -128):
        raise Refusal(
            f"its output has scale {epilogue.scale:.6g} and zero point {epilogue.zero_point}, "
            "not 1/256 and -128"
        )
    if _clamp(epilogue) != {"minimum": None, "maximum": None}:
        raise Refusal("its output is clamped")
    return rewriter.dero(
        "softmax",
        [source.data],
        epilogue.absorbed,
        **_factors(factors.softmax_factors, source.scale),
    )


# --- joins -----------------------------------------------------------------------------------


def _concat(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Operands of other scales than the result's are rescaled by tables first."""
    fields = rewriter.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        return None
    sources = [rewriter.quantized(field) for field in fields.fields]
    if not any(rewriter.is_quantized(field) for field in fields.fields):
        return None
    if any(source is None for source in sources):
        raise Refusal("one of its operands is not quantized to int8 with one scale")
    epilogue = rewriter.epilogue(var)
    operands = []
    for source in sources:
        assert source is not None
        parameters = (source.scale, source.zero_point)
        if parameters == (epilogue.scale, epilogue.zero_point) and _unclamped(epilogue):
            operands.append(source.data)
            continue
        bounds = _clamp(epilogue)
        table = rewriter.rescale_table(source, epilogue)
        low = -128 if bounds["minimum"] is None else bounds["minimum"]
        high = 127 if bounds["maximum"] is None else bounds["maximum"]
        limited = np.clip(table, low, high).astype(np.int8)
        operands.append(rewriter.dero("lookup", [source.data, relax.const(limited)], []))
    axis = call.attrs.axis % len(shape_of(call))
    return rewriter.dero("concat", operands, epilogue.absorbed, axis=axis)


# --- parts -----------------------------------------------------------------------------------


def _factors(function: Callable[..., Any], *args: Any) -> Any:
    """Integer factors; what cannot be expressed in them is a reason to stay in float."""
    try:
        return function(*args)
    except ValueError as error:
        raise Refusal(str(error)) from None


def _clamp(epilogue: Epilogue) -> dict[str, int | None]:
    """``minimum`` and ``maximum`` in quantized units; None where the type's own bound serves."""
    assert epilogue.scale is not None
    low, high = factors.activation_range(
        epilogue.scale, epilogue.zero_point, epilogue.low, epilogue.high
    )
    low = low if epilogue.minimum is None else max(low, epilogue.minimum)
    high = high if epilogue.maximum is None else min(high, epilogue.maximum)
    return {
        "minimum": None if low <= factors.INT8_MIN else low,
        "maximum": None if high >= factors.INT8_MAX else high,
    }


def _unclamped(epilogue: Epilogue) -> bool:
    return _clamp(epilogue) == {"minimum": None, "maximum": None}


def _refuse_quantized(rewriter: IntegerRewriter, *operands: relax.Expr) -> None:
    """Without quantized operands the operator stays in float32; a mixture is refused."""
    if any(rewriter.is_quantized(operand) for operand in operands):
        raise Refusal("its operands are not all quantized to int8 with one scale")


HANDLERS: dict[str, Handler] = {
    "relax.nn.conv2d": _conv2d,
    "relax.matmul": _matmul,
    "relax.add": _sum,
    "relax.subtract": _sum,
    "relax.multiply": _multiply,
    "relax.nn.avg_pool2d": _average_pool,
    "relax.mean": _reduce,
    "relax.sum": _reduce,
    "relax.nn.softmax": _softmax,
    "relax.concat": _concat,
}
