"""Where the largest or smallest element stands.

- spelling: over all axes, along that of the tensor in one row;
- layout: along the axis where it lies;
- integers: of quantized data, on their integers;
- selection: `dero.arg_extreme`, in the type to which its result is cast; the axis becomes the last
  one, if it is not.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of, is_call, shape_of
from ..arg_extreme import INDEX_TYPES
from .registry import Refusal

_OPERATORS = {"relax.argmax": relax.op.argmax, "relax.argmin": relax.op.argmin}


@SPELLINGS.register(*_OPERATORS)
def _over_all_axes(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    if call.attrs.axis is not None or not shape_of(call.args[0]):
        return None
    row = rewriter.emit(relax.op.reshape(rewriter.new(call.args[0]), [-1]))
    place = _OPERATORS[call.op.name](row, axis=0, keepdims=bool(call.attrs.keepdims))
    if not call.attrs.keepdims:
        return place
    return relax.op.reshape(rewriter.emit(place), shape_of(call))


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
    if call.attrs.axis is None:
        raise Refusal("it is over all axes of a number")
    if dtype_of(call.args[0]) in INDEX_TYPES:
        raise Refusal(f"it is of {dtype_of(call.args[0])}; its kernels are for float32 and int8")
    shape = shape_of(call.args[0])
    axis, last = int(call.attrs.axis) % len(shape), len(shape) - 1
    data, keepdims = rewriter.new(call.args[0]), bool(call.attrs.keepdims)
    if axis != last:
        to_end = [a for a in range(len(shape)) if a != axis] + [axis]
        data = rewriter.dero("transpose", [data], axes=to_end)
    reader = rewriter.old.sole_reader(var)
    cast = reader is not None and is_call(reader[1], "relax.astype")
    index_type = dtype_of(reader[1]) if reader is not None and cast else dtype_of(call)
    fused = [var]
    if reader is not None and cast and index_type in INDEX_TYPES:
        fused.append(reader[0])
    result = rewriter.dero(
        "arg_extreme",
        [data],
        kind=call.op.name.removeprefix("relax.arg"),
        keepdims=keepdims and axis == last,
        index_type=index_type if len(fused) > 1 else dtype_of(call),
    )
    if keepdims and axis != last:
        result = rewriter.dero("reshape", [result], shape=shape_of(call))
    return rewriter.finish(result, fused)
