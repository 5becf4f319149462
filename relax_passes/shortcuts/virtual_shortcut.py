"""Building `dero.shortcut_conv2d` from a convolution and what its shortcut was read as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import Dataflow, dtype_of
from ..operators import attributes_of, make_call, spec_of
from ..operators.fixed_point import ROUNDED_ONCE
from .channel_runs import Run, runs
from .channel_sums import ChannelSum, NotLinear, SlidingWindow
from .integer_steps import IntegerSteps
from .reading_refusals import Refusals
from .shortcut_reader import ShortcutReader

_CONVOLUTION = ("strides", "padding", "dilation", "groups")
_IDENTITY: SlidingWindow = ((1, 1), (1, 1), (0, 0, 0, 0))


@dataclass(frozen=True, eq=False)
class Pair:
    """A join of a convolution and a branch that may be a shortcut over it.

    `inputs` are the convolution's input and what stands before its normalisation, last to first;
    `activation` is the operator between convolution and join, if there is one, and `result` the
    tensor that is computed: the join, or what is made of it alone.
    """

    join: relax.Var
    shortcut: relax.Var
    conv: relax.Var
    activation: relax.Var | None
    inputs: tuple[relax.Var, ...]
    result: relax.Var


def fused(old: Dataflow, pair: Pair, refusals: Refusals) -> Call:
    """The operator, on old operands.  Raises `NotLinear` with the reason if there is none.

    `refusals` are shared by all pairs of a module.
    """
    for var in (pair.conv, pair.activation):
        if var is not None and old.sole_reader(var) is None:
            raise NotLinear("cannot be fused: the convolution's result is read elsewhere too")
    if dtype_of(pair.join) == "float32":
        return _float_call(old, pair, refusals)
    if attributes_of(old.definitions[pair.conv])["rounding"] not in ROUNDED_ONCE:
        raise NotLinear("belongs to an int8 network with LiteRT's rounding, twice a product")
    return _integer_call(old, pair, refusals)


# --- float32 ---------------------------------------------------------------------------------


def _float_call(old: Dataflow, pair: Pair, refusals: Refusals) -> Call:
    conv = old.definitions[pair.conv]
    total = ShortcutReader(old, pair.inputs, refusals).real(pair.shortcut)
    shortcut = _only_run(pair, total)
    source = shortcut.source
    attrs = {name: attributes_of(conv)[name] for name in _CONVOLUTION}
    attrs |= _activation(old, pair, conv)
    join = attributes_of(old.definitions[pair.join])
    attrs |= {"sum_minimum": join["minimum"], "sum_maximum": join["maximum"]}
    size, padding = _window(shortcut.window, pair, conv)
    attrs |= {"pool_size": size, "pool_padding": padding, "fold": shortcut.count}
    weights = _normalised(old, conv, source, attrs)
    vectors = [_float32(shortcut.coefficients), _float32(total.offset)]
    weight, bias, *tap_bias = weights
    return _checked(
        make_call("shortcut_conv2d", [source, weight, bias, *vectors, *tap_bias], **attrs)
    )


def _only_run(pair: Pair, total: ChannelSum) -> Run:
    """The one run of channels that a float shortcut is."""
    found = runs(total)
    if not found:
        raise NotLinear("does not depend on the convolution's input")
    if len({run.source for run in found}) > 1:
        raise NotLinear("joins the convolution's input before and after its normalisation")
    if len(found) > 1:
        raise NotLinear("adds up channels that are weighted differently")
    (run,) = found
    if isinstance(run.source, int):
        raise NotLinear("is rounded to int8 inside a float32 network")
    filters, channels = spec_of(pair.join.ty).channels, spec_of(run.source.ty).channels
    folds = run.count == 1 or run.stride == filters
    reached = min(channels, filters * run.count)
    if run.first or run.begin or not folds or run.end != reached:
        raise NotLinear("takes other channels than a fold of the convolution's input")
    return run


def _activation(old: Dataflow, pair: Pair, conv: Call) -> dict[str, Any]:
    attrs = attributes_of(conv)
    bounds = {name: attrs[name] for name in ("minimum", "maximum")}
    if pair.activation is None:
        return bounds
    if bounds != {"minimum": None, "maximum": None}:
        raise NotLinear("is added behind two activations")
    return attributes_of(old.definitions[pair.activation])


def _normalised(
    old: Dataflow, conv: Call, source: relax.Var, attrs: dict[str, Any]
) -> list[relax.Expr]:
    """Weights, bias, and for each tap the constant part of a normalisation before them."""
    weight, bias = (_numbers(old, arg) for arg in conv.args[1:3])
    total = ShortcutReader(old, (source,)).real(conv.args[0])
    (run,) = runs(total)
    if (run.first, run.begin, run.count, run.window) != (0, 0, 1, None):
        raise NotLinear("is taken from an input that the convolution reads in another order")
    filters, _, _, depth = weight.shape
    groups = attrs["groups"]
    channel = np.arange(filters)[:, None] // (filters // groups) * depth + np.arange(depth)
    factor, summand = run.coefficients[channel], total.offset[channel]  # [O, I]
    taps = np.einsum("ohwi,oi->ohw", weight, summand)
    weight = weight * factor[:, None, None, :]
    if not taps.any():
        return [_float32(weight), _float32(bias)]
    if not any(attrs["padding"]):
        return [_float32(weight), _float32(bias + taps.sum((1, 2)))]
    return [_float32(weight), _float32(bias), _float32(taps)]


# --- int8 ------------------------------------------------------------------------------------


def _integer_call(old: Dataflow, pair: Pair, refusals: Refusals) -> Call:
    conv = old.definitions[pair.conv]
    source = _source(old, pair, refusals)
    if attributes_of(conv)["weight_zero_point"] != 0:
        raise NotLinear("belongs to a convolution whose weights have a zero point")
    reader = ShortcutReader(old, (source, pair.conv))
    steps = IntegerSteps(reader, source, pair.conv)
    normalisation = -1
    attrs = {name: attributes_of(conv)[name] for name in (*_CONVOLUTION, "minimum", "maximum")}
    attrs |= {
        name: attributes_of(conv)[name]
        for name in ("input_zero_point", "output_zero_point", "rounding")
    }
    if not conv.args[0].same_as(source):
        normalisation = steps.normalisation(conv.args[0])
    result = steps.step_of(pair.result)
    size, padding = _window(steps.window(result, normalisation), pair, conv)
    return _checked(
        make_call(
            "shortcut_conv2d",
            [source, *conv.args[1:], *steps.constants()],
            **attrs,
            pool_size=size,
            pool_padding=padding,
            steps=steps.encoded(),
            normalisation=normalisation,
        )
    )


def _source(old: Dataflow, pair: Pair, refusals: Refusals) -> relax.Var:
    """The int8 tensor that convolution and shortcut both begin with."""
    candidates = [var for var in pair.inputs if dtype_of(var) == "int8"]
    reader = ShortcutReader(old, {pair.conv, *candidates}, refusals)
    reader.raw(pair.result)
    found = reader.met & set(candidates)
    if len(found) != 1:
        raise NotLinear(
            "joins the convolution's input before and after its normalisation"
            if found
            else "does not depend on the convolution's input"
        )
    return found.pop()


# --- both ------------------------------------------------------------------------------------


def _window(
    window: SlidingWindow | None, pair: Pair, conv: Call
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Size and padding of the shortcut's window, which moves with the convolution's strides.

    A window that is alone on its axis does not move.
    """
    size, strides, padding = window or _IDENTITY
    for count, step, wanted in zip(
        spec_of(pair.join.ty).shape[1:3], strides, attributes_of(conv)["strides"]
    ):
        if count > 1 and step != wanted:
            raise NotLinear("is pooled with other strides than the convolution's")
    return size, padding


def _checked(call: Call) -> Call:
    """`call` if its operands fit."""
    try:
        return relax.BlockBuilder().normalize(call)
    except ValueError as error:
        raise NotLinear(f"does not fit the convolution: {error}") from None


def _numbers(old: Dataflow, expr: relax.Expr) -> np.ndarray:
    constant = old.constant(expr)
    if constant is None:
        raise NotLinear("belongs to a convolution with computed weights")
    return constant.values.astype(np.float64)


def _float32(values: np.ndarray) -> relax.Expr:
    return relax.const(np.ascontiguousarray(values, np.float32))
