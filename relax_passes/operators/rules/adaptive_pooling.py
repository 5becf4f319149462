"""Averages of windows of several sizes; those of one size are in `composite_pooling`.

- layout: channels-last;
- selection: with a clamp, `dero.adaptive_pool2d`.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import (
    DEMANDS,
    LAYOUT,
    LayoutRewriter,
    channels_last,
    check_plain,
)
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import shape_of
from .registry import Refusal

_NAME = "relax.nn.adaptive_avg_pool2d"


@LAYOUT.register(_NAME)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    check_plain(a.layout, a.out_layout)
    data = rewriter.arrange(call.args[0], channels_last(a.layout))
    size = [shape_of(call)[a.out_layout.index(letter)] for letter in "HW"]
    result = relax.op.nn.adaptive_avg_pool2d(data, size, layout="NHWC")
    return rewriter.keep(var, result, Layout.permuted(shape_of(call), channels_last(a.out_layout)))


@DEMANDS.register(_NAME)
def _demands(call: Any) -> bool:
    return bool(call.attrs.layout == "NCHW")


@SELECTION.register(_NAME)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_float32(call)
    if call.attrs.layout != "NHWC":
        raise Refusal(f"its layout is {call.attrs.layout}")
    return rewriter.clamped(var, "adaptive_pool2d", [call.args[0]], size=shape_of(call)[1:3])
