"""Arithmetic of two tensors, or of a tensor and a constant.

- constants: computed; with a neutral element, an identity;
- layout: the cheapest operand's;
- moves: the larger and the smaller of two elements are elements;
- selection: with a clamp, `dero.add` and its like;
- integers: sums and products;
- elementwise regions: all;
- element sums: of tensors, and with constants;
- channel selection: operands that keep the same channels;
- the network's description: a constant for each channel is a normalization or, in a gate, a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from ...canonicalization.channels_last import FOLLOWS, LAYOUT, LayoutRewriter
from ...canonicalization.channels_last_broadcast import broadcast
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.elementwise_region import VALUES
from ...canonicalization.fold_constants import CONSTANT_ARITHMETIC, NEUTRAL
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import Quantized, integer_clamp, integer_factors
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader
from ...canonicalization.select_operators import (
    MORE_TYPES,
    SELECTION,
    SelectionRewriter,
    check_float32,
)
from ...ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept, take
from ...reorganization.description import Activation
from ...reorganization.kept_operators import normalization
from ...reorganization.partial_description import (
    DESCRIPTION,
    DescribedTensor,
    PartialDescription,
    clamp_of,
)
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from .. import quantized as factors
from ..fixed_point import ACTIVATIONS, onnx_rounding
from ..integer_binary import TYPES as WHOLE_NUMBERS
from .registry import Refusal

_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "power": np.power,
    "subtract": np.subtract,
}
_RELAX = tuple(f"relax.{name}" for name in _FUNCTIONS)
_DERO = tuple(f"dero.{name}" for name in _FUNCTIONS)
_LINEAR = ("relax.add", "relax.subtract", "relax.multiply", "relax.divide")


LAYOUT.register(*_RELAX)(broadcast)


for _name in ("add", "subtract", "multiply", "maximum", "minimum"):
    CONSTANT_ARITHMETIC.register(f"relax.{_name}")(_FUNCTIONS[_name])
NEUTRAL.register("relax.add", "relax.subtract")(0.0)
NEUTRAL.register("relax.multiply", "relax.divide")(1.0)


@FOLLOWS.register(*_RELAX)
def _follows(rewriter: LayoutRewriter, call: Any, operand: relax.Var) -> bool:
    others = [arg for arg in call.args if not arg.same_as(operand)]
    return shape_of(operand) == shape_of(call) and all(
        rewriter.old.constant(arg) is not None for arg in others
    )


MOVES.register("relax.maximum", "relax.minimum")(always)


MORE_TYPES.register(*sorted({*_RELAX} - {"relax.power"}))(WHOLE_NUMBERS)


@SELECTION.register(*_RELAX)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    name = call.op.name.removeprefix("relax.")
    dtypes = {dtype_of(arg) for arg in call.args}
    integers = len(dtypes) == 1 and dtypes <= set(ACTIVATIONS)
    if dtypes <= set(WHOLE_NUMBERS) and len(dtypes) == 1 and name != "power":
        return whole_numbers(rewriter, call)
    if not (integers and name in ("maximum", "minimum")):
        check_float32(*call.args)
    return rewriter.clamped(var, name, [with_rows(rewriter, call, arg) for arg in call.args])


def whole_numbers(rewriter: SelectionRewriter, call: Any) -> relax.Expr:
    """Arithmetic of integers that stand for themselves."""
    operands = [rewriter.new(with_rows(rewriter, call, arg)) for arg in call.args]
    return rewriter.dero("integer_binary", operands, function=call.op.name.removeprefix("relax."))


def with_rows(rewriter: SelectionRewriter, call: Any, arg: relax.Expr) -> relax.Expr:
    """An operand of `call`: a constant number as a vector of one, unless the result is a number."""
    constant = rewriter.old.constant(arg)
    if constant is None or constant.shape or not shape_of(call):
        return arg
    return relax.const(constant.real().reshape(1), dtype_of(arg))


@INTEGERS.register("relax.add", "relax.subtract")
def _sum_integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    operands = _two_operands(rewriter, call)
    if operands is None:
        return None
    a, b = operands
    epilogue = rewriter.epilogue(var, dtype=a.dtype)
    subtract = is_call(call, "relax.subtract")
    function = factors.subtract_factors if subtract else factors.add_factors
    attrs = integer_factors(function, a.scale, b.scale, epilogue.scale, a.dtype)
    return rewriter.dero(
        "subtract" if subtract else "add",
        [a.data, b.data],
        epilogue.fused,
        zero_points=(a.zero_point, b.zero_point, epilogue.zero_point),
        rounding=onnx_rounding(
            rewriter.rounding, attrs["multipliers"][2], attrs["shifts"][2], factors.MOST_SUM
        ),
        **attrs,
        **integer_clamp(epilogue),
    )


@INTEGERS.register("relax.multiply")
def _multiply_integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    operands = _two_operands(rewriter, call)
    if operands is None:
        return None
    a, b = operands
    epilogue = rewriter.epilogue(var, dtype=a.dtype)
    multiplier, shift = integer_factors(
        factors.multiply_factors, a.scale, b.scale, epilogue.scale, a.dtype
    )
    return rewriter.dero(
        "multiply",
        [a.data, b.data],
        epilogue.fused,
        zero_points=(a.zero_point, b.zero_point, epilogue.zero_point),
        multiplier=multiplier,
        shift=shift,
        rounding=onnx_rounding(rewriter.rounding, multiplier, shift, factors.MOST_PRODUCT),
        **integer_clamp(epilogue),
    )


def _two_operands(rewriter: IntegerRewriter, call: Any) -> tuple[Quantized, Quantized] | None:
    a, b = (rewriter.quantized(arg, ACTIVATIONS) for arg in call.args)
    if not any(rewriter.is_quantized(arg) for arg in call.args):
        return None
    if a is None or b is None:
        raise Refusal("one of its operands is not quantized to int8 with one scale")
    if a.dtype != b.dtype:
        raise Refusal(f"its operands are quantized to {a.dtype} and {b.dtype}")
    return a, b


for _name, _function in _FUNCTIONS.items():
    VALUES.register(f"relax.{_name}")(lambda _call, a, b, f=_function: f(a, b))


@READERS.register(*_LINEAR)
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    left, right = call.args
    constants = [reader.old.constant(arg) for arg in call.args]
    shape = shape_of(call)

    def operand(index: int) -> ElementSum:
        value = reader.value(call.args[index])
        return value.moved(lambda a: np.broadcast_to(a, shape))

    def number(index: int) -> np.ndarray:
        constant = constants[index]
        assert constant is not None
        return constant.real().astype(np.float64)

    if is_call(call, "relax.multiply", "relax.divide"):
        if constants[1] is not None:
            factor = number(1) if is_call(call, "relax.multiply") else 1.0 / number(1)
            return operand(0).scaled(factor)
        if constants[0] is None or is_call(call, "relax.divide"):
            raise NotLinear("is multiplied with another tensor")
        return operand(1).scaled(number(0))
    sign = -1.0 if is_call(call, "relax.subtract") else 1.0
    if constants[1] is not None:
        return operand(0).shifted(sign * number(1))
    second = operand(1).scaled(np.float64(sign))
    if constants[0] is not None:
        return second.shifted(number(0))
    return operand(0).plus(second)


@UNUSUAL.register(*_LINEAR)
def _is_unusual(_old: Dataflow, _call: Any) -> bool:
    return False


@NARROWING.register(*_DERO)
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    channels = signature.output.channels
    chosen = next(k for k in kept if k is not None)
    new: list[relax.Expr] = []
    for operand, own, spec in zip(operands, kept, signature.inputs):
        if spec.channels == 1 and channels > 1:
            new.append(operand)
        elif isinstance(operand, GenericConst):
            new.append(take(operand, chosen, len(spec.shape) - 1))
        elif own is not None and np.array_equal(own, chosen):
            new.append(operand)
        else:
            raise CannotNarrow("its other operand keeps other channels")
    return new, attrs, chosen


@DESCRIPTION.register("dero.multiply", "dero.add", "dero.subtract", "dero.divide")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    tensors = description.operands(name, data)
    constants = [a for a in data.call.args if isinstance(a, GenericConst)]
    arrays = [constant.value.numpy() for constant in constants]
    rank = len(data.spec.shape)
    channels = description.channel_axis(tensors[0], rank)
    wanted = tuple(n if axis == channels else 1 for axis, n in enumerate(data.spec.shape))
    fits = [_is_uniform(a) or (1,) * (rank - a.ndim) + a.shape == wanted for a in arrays]
    if len(tensors) != 1 or fits != [True]:
        raise no_counterpart(name, data, " with a constant that is not one number a channel")
    first = data.operands[0] is None
    limits = clamp_of(data.signature.attrs)
    if (first and data.operator == "dero.subtract") or name in description.verdicts.gates:
        line = _line(data.operator, arrays[0], first)
        if line is None:
            raise no_counterpart(name, data, " in a gate with a number for each channel")
        tensor = description.activated(name, tensors[0], replace(limits or Activation(), **line))
        return tensor
    if first and data.operator == "dero.divide":
        raise no_counterpart(name, data, " of a constant by the tensor")
    return normalization(description, name, tensors[0], limits)


def _is_uniform(constant: np.ndarray) -> bool:
    """Whether it is one number, however often it is written."""
    return bool((constant == constant.reshape(-1)[0]).all())


def _line(operator: str, constant: np.ndarray, first: bool) -> dict[str, Any] | None:
    """A factor and a summand as an activation; None if it is none."""
    if not _is_uniform(constant) or (first and operator == "dero.divide"):
        return None
    number = float(constant.reshape(-1)[0])
    alpha, beta = {
        "dero.add": (1.0, number),
        "dero.subtract": (-1.0, number) if first else (1.0, -number),
        "dero.multiply": (number, 0.0),
        "dero.divide": (1.0 / number if number else 0.0, 0.0),
    }[operator]
    return {"function": "line", "alpha": alpha, "beta": beta}
