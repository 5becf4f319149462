"""Quantization and its inverse.

- layout: as their operand; scales for each channel follow its axis;
- selection: with one scale, to and from int8 or int16, `dero.quantize` and `dero.dequantize`;
- element sums: on single elements, with one scale;
- channel selection: channel by channel.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import (
    FOLLOWS,
    LAYOUT,
    LayoutRewriter,
    always_follows,
    keep_layout,
)
from ...canonicalization.region_reader import ON_KNOWN
from ...canonicalization.select_operators import SELECTION, SelectionRewriter
from ...ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ...reorganization.channel_selection import NARROWING, same_channels
from ..fixed_point import ACTIVATIONS
from .registry import Refusal

_OPERATORS = ("relax.quantize", "relax.dequantize")


@LAYOUT.register(*_OPERATORS)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """`quantize` and `dequantize`; a scale for each channel follows its axis."""
    data, scale, zero_point = call.args
    if all(prod(shape_of(parameter)) == 1 for parameter in (scale, zero_point)):
        return keep_layout(rewriter, var, call)
    order = rewriter.permutation(data)
    if order is None:
        raise Refusal("it has a scale for each channel, and the channels are mixed in memory")
    axis = order.index(call.attrs.axis % len(order))
    function = relax.op.quantize if is_call(call, "relax.quantize") else relax.op.dequantize
    new = function(
        rewriter.stored(data),
        rewriter.new(scale),
        rewriter.new(zero_point),
        axis=axis,
        out_dtype=call.attrs.out_dtype,
    )
    return rewriter.keep(var, new, rewriter.layout(data))


FOLLOWS.register(*_OPERATORS)(always_follows)


@SELECTION.register("relax.quantize")
def _select_quantize(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    scale, zero_point = _scale_and_zero_point(rewriter, call)
    if call.attrs.out_dtype not in ACTIVATIONS:
        raise Refusal(f"it quantizes to {call.attrs.out_dtype}, not {' or '.join(ACTIVATIONS)}")
    return rewriter.dero(
        "quantize",
        [rewriter.new(call.args[0])],
        scale=scale,
        zero_point=zero_point,
        rounding=rewriter.quantize_rounding,
        dtype=call.attrs.out_dtype,
    )


@SELECTION.register("relax.dequantize")
def _select_dequantize(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    scale, zero_point = _scale_and_zero_point(rewriter, call)
    if dtype_of(call.args[0]) not in ACTIVATIONS or dtype_of(call) != "float32":
        raise Refusal(f"it is from {dtype_of(call.args[0])} to {dtype_of(call)}")
    return rewriter.dero(
        "dequantize", [rewriter.new(call.args[0])], scale=scale, zero_point=zero_point
    )


def _scale_and_zero_point(rewriter: SelectionRewriter, call: Any) -> tuple[float, int]:
    scale, zero_point = (rewriter.old.constant(arg) for arg in call.args[1:])
    if scale is None or zero_point is None:
        raise Refusal("its scale or its zero point is computed")
    if scale.values.size != 1 or zero_point.values.size != 1:
        raise Refusal(f"it has {max(scale.values.size, zero_point.values.size)} scales, not one")
    return float(scale.values.item()), int(zero_point.values.item())


@ON_KNOWN.register(*_OPERATORS)
def _on_known(old: Dataflow, call: Any, values: np.ndarray) -> np.ndarray:
    parameters = (old.constant(arg) for arg in call.args[1:])
    scale, zero = (float(p.real().reshape(-1)[0]) for p in parameters if p is not None)
    if is_call(call, "relax.dequantize"):
        return (values - zero) * scale
    limits = np.iinfo(call.attrs.out_dtype)
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max)


NARROWING.register("dero.quantize", "dero.dequantize", "dero.flip_sign_bit")(same_channels)
