"""Layouts of operators on two operands that are broadcast against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import shape_of
from ..operators.rules.registry import Refusal
from .channels_last import LayoutRewriter
from .layout import Layout

_CHANNELS_LAST = (0, 2, 3, 1)
_Arrangement = tuple[Layout, tuple[int, ...], tuple[int, ...]]
"""A layout, an order of its axes, and a final shape: arguments of `LayoutRewriter.arrange`."""


_Plan = tuple[int, bool, int, Layout, list[_Arrangement]]
"""Elements to move, whether the result is not channels-last, a number, the layout of the result,
and how to arrange each operand."""


def broadcast(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """Operands broadcast along native axes; the cheapest operand's layout wins.

    Of equally cheap ones an image that is channels-last, as convolutions have it.  Where each
    operand is broadcast, an order of whole axes.
    """
    shape = shape_of(call)
    rank = len(shape)
    candidates = [
        arg for arg in call.args if shape_of(arg) == shape and rewriter.old.constant(arg) is None
    ]
    plans: list[_Plan] = []
    for candidate in candidates:
        stored_shape = shape_of(rewriter.stored(candidate))
        target = rewriter.layout(candidate)
        others = [_conform(rewriter, arg, target, stored_shape) for arg in call.args]
        known = [plan for plan in others if plan is not None]
        if len(known) == len(others):
            cost = _cost(rewriter, call, known)
            channels_last = target == Layout.permuted(shape, _CHANNELS_LAST) if rank == 4 else False
            plans.append((cost, not channels_last, len(plans), target, known))
    if not candidates:
        plans = list(_by_whole_axes(rewriter, call))
    if not plans:
        raise Refusal("its operands cannot be broadcast as they lie")
    *_, target, chosen = min(plans, key=lambda plan: plan[:3])
    operands = [
        rewriter.arrange(arg, axes, final, layout)
        for arg, (layout, axes, final) in zip(call.args, chosen)
    ]
    return rewriter.keep(var, Call(call.op, operands, call.attrs), target)


def _by_whole_axes(rewriter: LayoutRewriter, call: Any) -> Iterator[_Plan]:
    """The orders of axes in which operands lie, all of which are smaller than the result.

    A gain per channel times a factor per pixel, as normalizations are written, has the shape of
    neither.
    """
    shape = shape_of(call)
    data = [arg for arg in call.args if rewriter.old.constant(arg) is None]
    orders = [rewriter.regular_order(arg) for arg in data if len(shape_of(arg)) == len(shape)]
    for number, order in enumerate(orders):
        arrangements: list[_Arrangement] = []
        for arg in call.args:
            whole = (1,) * (len(shape) - len(shape_of(arg))) + shape_of(arg)
            layout = rewriter.layout(arg).reshaped(whole)
            assert layout is not None, "axes of length one have no factors"
            arrangements.append((layout, order, tuple(whole[axis] for axis in order)))
        cost = _cost(rewriter, call, arrangements)
        yield cost, order != _CHANNELS_LAST, number, Layout.permuted(shape, order), arrangements


def _cost(rewriter: LayoutRewriter, call: Any, arrangements: Sequence[_Arrangement]) -> int:
    """Elements of operands that have to move."""
    return sum(
        prod(shape_of(arg))
        for arg, (layout, axes, final) in zip(call.args, arrangements)
        if rewriter.transposes(arg, axes, final, layout)
    )


def _conform(
    rewriter: LayoutRewriter, arg: relax.Expr, target: Layout, stored_shape: tuple[int, ...]
) -> _Arrangement | None:
    """How to arrange `arg` so that it broadcasts against a tensor stored as `target` says.

    The layout with an axis for each factor of `target`, the order of those axes, and the final
    shape; None if it cannot be said.
    """
    shape = shape_of(arg)
    if prod(shape) == 1:
        return Layout.native(shape), tuple(range(len(shape))), shape
    shape = (1,) * (len(target.shape) - len(shape)) + shape
    expanded: list[int] = []  # the shape of `arg` with every native axis split into its factors
    position: dict[int, int] = {}
    for length, axis in zip(shape, target.axes):
        for factor in axis:
            position[factor] = len(expanded)
            expanded.append(target.sizes[factor] if length > 1 else 1)
    layout = rewriter.layout(arg).reshaped(expanded)
    if layout is None:
        return None
    order = tuple(position[factor] for factor in range(len(target.sizes)))
    final: list[int] = []
    factor = 0
    for length in stored_shape:
        begin, covered = factor, 1
        while covered < length:
            covered *= target.sizes[factor]
            factor += 1
        lengths = [expanded[position[f]] for f in range(begin, factor)]
        if prod(lengths) not in (1, length) or covered != length:
            return None
        final.append(prod(lengths))
    return layout, order, tuple(final)
