"""How each float operator between dequantize and quantize becomes an int8 operator.

A handler returns the new expression.  It raises :class:`Refusal` with the reason if one of the
operands is quantized but the operator must stay in float, and returns None if none is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from tvm import relax

from ..ir.dataflow import dtype_of, is_call, shape_of
from ..operators import quantized as factors
from ..operators import spec_of
from ..operators.pool2d import windows_meet_image
from ..operators.softmax import MOST_INT8_CHANNELS
from ..operators.sum_range import SumRange
from .epilogue import Epilogue, take_integer_clamp
from .integer_layers import conv2d, matmul
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

Handler = Callable[["IntegerRewriter", relax.Var, Any], "relax.Expr | None"]


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
        **integer_factors(function, a.scale, b.scale, epilogue.scale),
        **integer_clamp(epilogue),
    )


def _multiply(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    operands = _two_operands(rewriter, call)
    if operands is None:
        return None
    a, b = operands
    epilogue = rewriter.epilogue(var)
    multiplier, shift = integer_factors(factors.multiply_factors, a.scale, b.scale, epilogue.scale)
    return rewriter.dero(
        "multiply",
        [a.data, b.data],
        epilogue.absorbed,
        zero_points=(a.zero_point, b.zero_point, epilogue.zero_point),
        multiplier=multiplier,
        shift=shift,
        rounding=rewriter.rounding,
        **integer_clamp(epilogue),
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
        return none_unless_quantized(rewriter, call.args[0])
    if not windows_meet_image(spec_of(call.args[0].ty), window):
        raise Refusal("some of its windows lie in the padding alone")
    epilogue = rewriter.epilogue(var)
    # An average in the input's scale is often a tie, which an integer division sees exactly.
    same_zero_point = source.zero_point == epilogue.zero_point
    divides = source.scale == epilogue.scale and (same_zero_point or rewriter.rounding == "single")
    if not divides:
        multiplier, shift = integer_factors(factors.pooling_factors, source.scale, epilogue.scale)
        count = prod(a.pool_size)
        sums = SumRange.of_elements(count, source.zero_point)
        refuse_overflow(sums, *factors.divide_factor(multiplier, shift, count))
        window["multiplier"], window["shift"] = multiplier, shift
    # LiteRT divides sums of the integers as they are; what padding adds has to be real zeros.
    as_they_are = divides and rewriter.rounding == "double" and not a.count_include_pad
    return rewriter.dero(
        "pool2d",
        [source.data],
        epilogue.absorbed,
        input_zero_point=0 if as_they_are else source.zero_point,
        output_zero_point=0 if as_they_are else epilogue.zero_point,
        **window,
        **integer_clamp(epilogue),
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
        return none_unless_quantized(rewriter, call.args[0])
    shape = shape_of(call.args[0])
    axes = range(len(shape)) if call.attrs.axis is None else call.attrs.axis
    axes = tuple(sorted(int(axis) % len(shape) for axis in axes))
    epilogue = rewriter.epilogue(var)
    count = prod(shape[axis] for axis in axes)
    if is_call(call, "relax.mean"):
        kind = "mean"
        multiplier, shift = integer_factors(
            factors.mean_factors, source.scale, epilogue.scale, count
        )
    else:
        kind = "sum"
        multiplier, shift = integer_factors(factors.rescale_factors, source.scale, epilogue.scale)
    refuse_overflow(SumRange.of_elements(count, source.zero_point), multiplier, shift)
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
        **integer_clamp(epilogue),
    )


def _softmax(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source, beta = _scaled(rewriter, call.args[0])
    if source is None:
        return none_unless_quantized(rewriter, call.args[0])
    if call.attrs.axis % len(shape_of(call)) != len(shape_of(call)) - 1:
        raise Refusal("it is not along the last axis")
    if shape_of(call)[-1] > MOST_INT8_CHANNELS:
        raise Refusal(f"in int8 it has at most {MOST_INT8_CHANNELS:,} channels")
    epilogue = rewriter.epilogue(var)
    if (epilogue.scale, epilogue.zero_point) != (1 / 256, -128):
        raise Refusal(
            f"its output has scale {epilogue.scale:.6g} and zero point {epilogue.zero_point}, "
            "not 1/256 and -128"
        )
    if integer_clamp(epilogue) != {"minimum": None, "maximum": None}:
        raise Refusal("its output is clamped")
    return rewriter.dero(
        "softmax",
        [source.data],
        epilogue.absorbed,
        **integer_factors(factors.softmax_factors, source.scale, beta),
    )


def _scaled(rewriter: IntegerRewriter, expr: relax.Expr) -> tuple[Quantized | None, float]:
    """The quantized tensor behind `expr`, and the positive number it is multiplied by."""
    call = rewriter.old.definition(expr)
    if is_call(call, "relax.multiply"):
        for data, other in (call.args, reversed(list(call.args))):
            constant = rewriter.constant(other)
            if constant is None or constant.values.size != 1:
                continue
            factor = float(constant.real().reshape(-1)[0])
            source = rewriter.quantized(data)
            if source is not None and factor > 0:
                return source, factor
    return rewriter.quantized(expr), 1.0


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
    bounds = integer_clamp(epilogue)
    clamped = bounds != {"minimum": None, "maximum": None}
    operands = []
    for source in sources:
        assert source is not None
        parameters = (source.scale, source.zero_point)
        if parameters == (epilogue.scale, epilogue.zero_point) and not clamped:
            operands.append(source.data)
            continue
        table = rewriter.concat_table(source, epilogue)
        operands.append(rewriter.looked_up(source, table, bounds))
    axis = call.attrs.axis % len(shape_of(call))
    return rewriter.dero("concat", operands, epilogue.absorbed, axis=axis)


HANDLERS: dict[str, Handler] = {
    "relax.nn.conv2d": conv2d,
    "relax.matmul": matmul,
    "relax.add": _sum,
    "relax.subtract": _sum,
    "relax.multiply": _multiply,
    "relax.nn.avg_pool2d": _average_pool,
    "relax.mean": _reduce,
    "relax.sum": _reduce,
    "relax.nn.softmax": _softmax,
    "relax.concat": _concat,
}
