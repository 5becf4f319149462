"""PReLU: a slope for each channel.

- spelling (`choice.py`): a choice by sign between a tensor and its product with slopes;
- layout: the channels' axis where it lies;
- selection: with constant slopes, `dero.prelu`.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SpellingRewriter
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import dtype_of, is_call, shape_of
from .registry import Refusal


def choice_by_sign(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """``where(x > 0, x, slopes * x)``, with slopes along one axis."""
    sign, scaled = (rewriter.old.definition(call.args[index]) for index in (0, 2))
    data = call.args[1]
    if not is_call(sign, "relax.greater", "relax.greater_equal") or not sign.args[0].same_as(data):
        return None
    zero = rewriter.old.constant(sign.args[1])
    if zero is None or zero.real().any() or not is_call(scaled, "relax.multiply"):
        return None
    if shape_of(data) != shape_of(call) or dtype_of(call) != "float32":
        return None
    for operand, other in (scaled.args, reversed(list(scaled.args))):
        slopes = rewriter.old.constant(other)
        if not operand.same_as(data) or slopes is None or slopes.is_quantized:
            continue
        values = slopes.values
        if values.size == 1:
            return relax.op.nn.leakyrelu(rewriter.new(data), float(values.item()))
        axes = [axis for axis in range(-values.ndim, 0) if values.shape[axis] > 1]
        if len(axes) == 1 and values.ndim <= len(shape_of(data)):
            weight = relax.const(values.reshape(-1))
            return relax.op.nn.prelu(rewriter.new(data), weight, axis=len(shape_of(data)) + axes[0])
    return None


@LAYOUT.register("relax.nn.prelu")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = rewriter.regular(call.args[0])
    axis = order.index(call.attrs.axis % len(order))
    new = relax.op.nn.prelu(data, rewriter.new(call.args[1]), axis=axis)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


@SELECTION.register("relax.nn.prelu")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_float32(call)
    slopes = rewriter.old.constant(call.args[1])
    if slopes is None:
        raise Refusal("its slopes are computed")
    behind = len(shape_of(call)) - 1 - call.attrs.axis % len(shape_of(call))
    shape = (slopes.values.size, *(1,) * behind)
    values = relax.const(slopes.real().astype("float32").reshape(shape))
    return rewriter.dero("prelu", [rewriter.new(call.args[0]), values])
