"""Where the largest or smallest element stands.

- layout: along the axis where it lies;
- integers: of quantized data, on their integers;
- selection: along the last axis, `dero.arg_extreme`, in the type to which its result is cast.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of, is_call, shape_of
from ..arg_extreme import INDEX_TYPES
from .registry import Refusal

_OPERATORS = {"relax.argmax": relax.op.argmax, "relax.argmin": relax.op.argmin}


@LAYOUT.register(*_OPERATORS)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if call.attrs.axis is None:
        raise Refusal("it is over all axes, which are counted in the order of the model")
    data, order = rewriter.regular(call.args[0])
    native = int(call.attrs.axis) % len(order)
    keepdims = call.attrs.keepdims
    new = _OPERATORS[call.op.name](data, axis=order.index(native), keepdims=keepdims)
    if keepdims:
        return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))
    left = [axis for axis in range(len(order)) if axis != native]
    kept = [left.index(axis) for axis in order if axis != native]
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), kept))


@INTEGERS.register(*_OPERATORS)
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if source is None or not rewriter.is_quantized(call.args[0]):
        return None
    return _OPERATORS[call.op.name](source.data, axis=call.attrs.axis, keepdims=call.attrs.keepdims)


MORE_TYPES.register(*_OPERATORS)(INDEX_TYPES)


@SELECTION.register(*_OPERATORS)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    rank = len(shape_of(call.args[0]))
    if call.attrs.axis is None or call.attrs.axis % rank != rank - 1:
        raise Refusal(f"its axis {call.attrs.axis} is not the last of {rank}")
    if dtype_of(call.args[0]) in INDEX_TYPES:
        raise Refusal(f"it is of {dtype_of(call.args[0])}; its kernels are for float32 and int8")
    reader = rewriter.old.sole_reader(var)
    cast = reader is not None and is_call(reader[1], "relax.astype")
    index_type = dtype_of(reader[1]) if reader is not None and cast else dtype_of(call)
    fused = [var]
    if reader is not None and cast and index_type in INDEX_TYPES:
        fused.append(reader[0])
    result = rewriter.dero(
        "arg_extreme",
        [rewriter.new(call.args[0])],
        kind=call.op.name.removeprefix("relax.arg"),
        keepdims=bool(call.attrs.keepdims),
        index_type=index_type if len(fused) > 1 else dtype_of(call),
    )
    return rewriter.finish(result, fused)
