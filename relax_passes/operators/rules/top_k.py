"""The largest or smallest elements, in order, and where they stand.

- spelling: both results are one operator each; what sorts takes as many elements as there are;
- layout: along the axis where it lies;
- moves: the elements themselves;
- integers: where they stand, of quantized data, on its integers;
- selection: `dero.top_k`; the axis becomes the last one, if it is not.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, TUPLE_SPELLINGS, SpellingRewriter
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of, is_call, shape_of
from ..arg_extreme import INDEX_TYPES
from ..top_k import RESULTS
from .registry import Refusal


@TUPLE_SPELLINGS.register("relax.topk")
def _one_result(rewriter: SpellingRewriter, call: Any, index: int) -> relax.Expr:
    return _like(call, rewriter.new(call.args[0]), call.attrs.axis, RESULTS[index])


@SPELLINGS.register("relax.sort", "relax.argsort")
def _sorted(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    axis = int(call.attrs.axis) % len(shape_of(call))
    return relax.op.topk(
        rewriter.new(call.args[0]),
        shape_of(call)[axis],
        axis,
        "values" if is_call(call, "relax.sort") else "indices",
        bool(call.attrs.descending),
        "int32" if is_call(call, "relax.sort") else dtype_of(call),
    )


@LAYOUT.register("relax.topk")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if not isinstance(call.ty, relax.TensorType):
        raise Refusal("both of its results are used together")
    data, order = rewriter.regular(call.args[0])
    native = int(call.attrs.axis) % len(order)
    new = _like(call, data, order.index(native), call.attrs.ret_type)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


@MOVES.register("relax.topk")
def _moves(call: Any) -> bool:
    return bool(call.attrs.ret_type == "values")


@INTEGERS.register("relax.topk")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if call.attrs.ret_type != "indices" or source is None:
        return None
    if not rewriter.is_quantized(call.args[0]):
        return None
    return _like(call, source.data, call.attrs.axis, "indices")


MORE_TYPES.register("relax.topk")(INDEX_TYPES)


@SELECTION.register("relax.topk")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if dtype_of(call.args[0]) not in ("float32", "int8"):
        raise Refusal(f"it is of {dtype_of(call.args[0])}; its kernels are for float32 and int8")
    rank = len(shape_of(call))
    axes = list(range(rank))
    axis = int(call.attrs.axis) % rank
    axes[axis], axes[-1] = axes[-1], axes[axis]  # which undoes itself
    data = rewriter.new(call.args[0])
    if axis != rank - 1:
        data = rewriter.dero("transpose", [data], axes=axes)
    k = int(call.attrs.k)
    result = rewriter.dero(
        "top_k",
        [data],
        k=shape_of(call.args[0])[axis] if k < 1 else k,
        largest=bool(call.attrs.largest),
        result=call.attrs.ret_type,
        index_type=dtype_of(call) if call.attrs.ret_type == "indices" else "int64",
    )
    return result if axis == rank - 1 else rewriter.dero("transpose", [result], axes=axes)


def _like(call: Any, data: relax.Expr, axis: int, result: str) -> relax.Expr:
    """`call` on other data, with one result."""
    attrs = call.attrs
    return relax.op.topk(data, int(attrs.k), int(axis), result, bool(attrs.largest), attrs.dtype)
