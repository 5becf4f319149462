"""PReLU: a slope for each channel.

- layout: the channels' axis where it lies.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.layout import Layout
from ...ir.dataflow import shape_of


@LAYOUT.register("relax.nn.prelu")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = rewriter.regular(call.args[0])
    axis = order.index(call.attrs.axis % len(order))
    new = relax.op.nn.prelu(data, rewriter.new(call.args[1]), axis=axis)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))
