"""PReLU: a slope for each channel.

- layout: the channels' axis where it lies;
- selection: with constant slopes, `dero.prelu`.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import shape_of
from .registry import Refusal


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
