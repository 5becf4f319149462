"""Running sums and products.

- layout: along the axis where it lies;
- selection: `dero.cumulative`; the axis becomes the last one, if it is not.

Those of constants are in `constant_places`.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of, is_call, shape_of
from ..cumulative import TYPES
from .registry import Refusal

_OPERATORS = {"relax.cumsum": relax.op.cumsum, "relax.cumprod": relax.op.cumprod}


@LAYOUT.register(*_OPERATORS)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if call.attrs.axis is None:
        raise Refusal("it is over all axes, which are counted in the order of the model")
    data, order = rewriter.regular(call.args[0])
    axis = order.index(int(call.attrs.axis) % len(order))
    new = _OPERATORS[call.op.name](
        data, axis, dtype=dtype_of(call), exclusive=bool(call.attrs.exclusive)
    )
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


MORE_TYPES.register(*_OPERATORS)(TYPES)


@SELECTION.register(*_OPERATORS)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    dtype, shape = dtype_of(call), shape_of(call.args[0])
    if dtype not in TYPES or dtype_of(call.args[0]) != dtype:
        known = ", ".join(TYPES)
        raise Refusal(f"it is of {dtype_of(call.args[0])} to {dtype}; its kernels are for {known}")
    data = rewriter.new(call.args[0])
    attrs = {
        "kind": "sum" if is_call(call, "relax.cumsum") else "product",
        "exclusive": bool(call.attrs.exclusive),
    }
    if call.attrs.axis is None:
        flat = rewriter.dero("reshape", [data], shape=shape_of(call))
        return rewriter.dero("cumulative", [flat], **attrs)
    axis, last = int(call.attrs.axis) % len(shape), len(shape) - 1
    if axis == last:
        return rewriter.dero("cumulative", [data], **attrs)
    axes = list(range(last + 1))
    axes[axis], axes[last] = last, axis  # which undoes itself
    turned = rewriter.dero("transpose", [data], axes=axes)
    return rewriter.dero("transpose", [rewriter.dero("cumulative", [turned], **attrs)], axes=axes)
