"""Layouts of products of two computed tensors.

    matmul(a [.., B, M, K], b [.., B, K, N])   ->   dero.matmul, heads = B, by rows along M

A tensor of vectors may have its heads in front of its pixels, each head's matrix by itself, or
behind them, side by side in every pixel, as dense layers leave them.  The batch axes are cut in two
accordingly: those in front are parts done one by one, those behind are heads.  Of the ways to cut
them, the one that moves the fewest elements is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tvm import relax

from ..ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ..operators import make_call
from ..operators.rules.registry import Refusal
from .channels_last import LayoutRewriter
from .layout import Layout

_BY_VECTOR = ("relax.nn.softmax", "relax.nn.log_softmax", "relax.nn.layer_norm")
_BY_ELEMENT = (
    *("relax.add", "relax.divide", "relax.multiply", "relax.subtract", "relax.where"),
    *("relax.dequantize", "relax.quantize", "relax.permute_dims", "relax.reshape"),
)


@dataclass(frozen=True)
class _Operand:
    """How an operand is arranged: the order of its native axes, and what is moved for it."""

    expr: relax.Expr
    layout: Layout
    order: tuple[int, ...]
    moved: int  # elements


def product_layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """The rule of `relax.matmul` where no operand is a constant matrix on the right."""
    left, right = call.args
    a, b = shape_of(left), shape_of(right)
    if dtype_of(left) != "float32":
        raise Refusal(f"its operands are {dtype_of(left)}")
    if min(len(a), len(b)) < 2:
        raise Refusal(f"its operands have {len(a)} and {len(b)} axes")
    if prod(b[:-2]) == 1:  # one matrix for all rows of the other operand
        return _with_one_matrix(rewriter, var, call)
    rank = max(len(a), len(b))
    shapes = [(1,) * (rank - len(shape)) + shape for shape in (a, b)]
    if shapes[0][:-2] != shapes[1][:-2]:
        raise Refusal(f"its batches {list(a[:-2])} and {list(b[:-2])} differ")
    layouts = []
    for expr, own in zip((left, right), shapes):
        layout = rewriter.layout(expr).reshaped(own)
        assert layout is not None  # axes of length 1 are in no one's way
        layouts.append(layout)
    batch, rows, last = range(rank - 2), rank - 2, rank - 1
    ways: list[tuple[int, int, bool, _Operand, _Operand]] = []
    for cut in range(rank - 1):
        parts, heads = tuple(batch[:cut]), tuple(batch[cut:])
        first = _operand(rewriter, left, layouts[0], (*parts, rows, *heads, last))
        for transposed in (True, False):
            of_right = (last, rows) if transposed else (rows, last)
            order = (*parts, of_right[0], *heads, of_right[1])
            second = _operand(rewriter, right, layouts[1], order)
            ways.append((first.moved + second.moved, cut, transposed, first, second))
    _, cut, transposed, first, second = min(ways, key=lambda way: way[:1])
    outer, parallel = prod(shapes[0][:cut]), prod(shapes[0][cut:-2])
    operands, apart = [], []
    for operand in (first, second):
        length = [operand.layout.shape[axis] for axis in operand.order]
        shape: tuple[int, ...] = (outer, length[cut], parallel, length[-1])
        apart.append(parallel > 1 and shape_of(rewriter.stored(operand.expr)) == shape)
        if not apart[-1]:
            shape = (outer, length[cut], parallel * length[-1])
        operands.append(rewriter.arrange(operand.expr, operand.order, shape, operand.layout))
    apart.append(parallel > 1 and not _is_reordered(rewriter.old, var))
    new = make_call(
        "matmul",
        operands,
        heads=parallel,
        outer=outer,
        transposed=transposed,
        apart=tuple(apart),
    )
    order = (*batch[:cut], rows, *batch[cut:], last)
    layout = Layout.permuted((*shapes[0][:-1], shapes[1][-1]), order)
    layout = layout.reshaped(shape_of(call)) or layout
    return rewriter.keep(var, new, layout)


def _operand(
    rewriter: LayoutRewriter, expr: relax.Expr, layout: Layout, order: tuple[int, ...]
) -> _Operand:
    shape = tuple(layout.shape[axis] for axis in order)
    moves = rewriter.transposes(expr, order, shape, layout)
    return _Operand(expr, layout, order, prod(shape) if moves else 0)


def _is_reordered(old: Dataflow, var: relax.Var) -> bool:
    """Whether the product's vectors are joined before anything looks at a single one."""
    readers = [reader for reader in old.readers.get(var, []) if reader is not None]
    for reader in readers:
        call = old.definition(reader)
        if is_call(call, *_BY_VECTOR):
            return False
        if is_call(call, *_BY_ELEMENT) and not _is_reordered(old, reader):
            return False
    return bool(readers)


def _with_one_matrix(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """Every vector of the left operand times one matrix."""
    left, right = call.args
    data, layout = rewriter.innermost(left, len(shape_of(left)) - 1)
    if len(shape_of(data)) < 2:
        raise Refusal("its left operand is a vector")
    rank = len(shape_of(right))
    of_matrix, columns = rewriter.layout(right), (rank - 1, rank - 2)
    transposed = not rewriter.transposes(
        right, (*range(rank - 2), *columns), tuple(shape_of(right)[c] for c in columns), of_matrix
    )
    order = (*range(rank - 2), *(columns if transposed else columns[::-1]))
    shape = tuple(shape_of(right)[axis] for axis in order[-2:])
    stored = rewriter.stored(right)
    if of_matrix.is_stored_in(order) and shape_of(stored)[-1] == shape[1]:
        matrix = stored  # pixels may be in several axes
    else:
        matrix = rewriter.arrange(right, order, shape)
    new = make_call("matmul", [data, matrix], transposed=transposed)
    # The matrix may bring more axes, of length 1, than the vectors have.
    result = layout.with_innermost(shape_of(call)[-1]).reshaped(shape_of(call))
    assert result is not None
    return rewriter.keep(var, new, result)
