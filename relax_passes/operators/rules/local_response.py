"""Normalization by the squares of neighbouring channels.

- spelling: ``x / (average * factor + bias) ** exponent``, the average pooled over the channels of
  ``x * x`` as PyTorch says it, is `dero.local_response_norm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ..registry import make_call

_SHAPES = ("relax.squeeze", "relax.reshape", "relax.expand_dims")
_POOLS = ("relax.nn.avg_pool2d", "relax.nn.avg_pool3d")


@SPELLINGS.register("relax.divide")
def _normalized(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    old, data = rewriter.old, call.args[0]
    power: Any = old.definition(call.args[1])
    if not is_call(power, "relax.power") or dtype_of(call) != "float32":
        return None
    exponent = _number(old, power.args[1])
    total, bias = _with_number(old, power.args[0], "relax.add")
    average, factor = _with_number(old, total, "relax.multiply")
    pool: Any = _without_shapes(old, average)
    if exponent is None or bias is None or factor is None or not is_call(pool, *_POOLS):
        return None
    window = _window(old, pool)
    if window is None or not _is_square(old, window[0], data):
        return None
    squares, pooled, before, after = window
    axis = _same_axis(shape_of(squares), pooled, shape_of(data))
    if axis is None or shape_of(call) != shape_of(data):
        return None
    return channels_normalized(
        rewriter.emit,
        *(rewriter.new(data), axis),
        before=before,
        after=after,
        bias=bias,
        factor=factor / (before + after + 1),
        exponent=exponent,
    )


def channels_normalized(emit: Any, data: relax.Expr, axis: int, **attrs: Any) -> relax.Expr:
    """`dero.local_response_norm` over any axis; `emit` binds an expression to a variable."""
    last = len(data.ty.shape) - 1
    if axis == last:
        return make_call("local_response_norm", [data], **attrs)
    to_end = [a for a in range(last + 1) if a != axis] + [axis]
    back = [to_end.index(a) for a in range(last + 1)]
    turned = emit(relax.op.permute_dims(data, to_end))
    made = emit(make_call("local_response_norm", [turned], **attrs))
    return relax.op.permute_dims(made, back)


def _number(old: Dataflow, expr: Any) -> float | None:
    constant = old.constant(expr)
    if constant is None or constant.is_quantized or constant.values.size != 1:
        return None
    return float(constant.values.reshape(-1)[0])


def _with_number(old: Dataflow, expr: Any, operator: str) -> tuple[Any, float | None]:
    """The operand that is not a number, and the number."""
    made: Any = old.definition(expr)
    if is_call(made, operator):
        for operand, other in (made.args, reversed(list(made.args))):
            if (number := _number(old, other)) is not None:
                return operand, number
    return expr, None


def _without_shapes(old: Dataflow, expr: Any) -> Any:
    made: Any = old.definition(expr)
    while is_call(made, *_SHAPES):
        made = old.definition(made.args[0])
    return made


def _window(old: Dataflow, pool: Any) -> tuple[Any, int, int, int] | None:
    """What is pooled, along which one of its axes, and how far to both sides."""
    attrs = pool.attrs
    spatial = len(attrs.pool_size)
    sizes = [int(size) for size in attrs.pool_size]
    wide = [i for i, size in enumerate(sizes) if size > 1]
    steps = [*map(int, attrs.strides), *map(int, attrs.dilation)]
    plain = attrs.layout in ("NCHW", "NCDHW") and not attrs.ceil_mode
    if len(wide) != 1 or set(steps) != {1} or not plain:
        return None
    padding = [int(amount) for amount in attrs.padding]
    if any(padding) and not attrs.count_include_pad:
        return None
    axis = wide[0] + 2
    amounts = [[0, 0] for _ in range(spatial + 2)]
    for i in range(spatial):
        amounts[i + 2] = [padding[i], padding[i + spatial]]
    source = pool.args[0]
    before_pool: Any = old.definition(source)
    if is_call(before_pool, "relax.nn.pad"):
        if before_pool.attrs.pad_mode != "constant" or float(before_pool.attrs.pad_value) != 0.0:
            return None
        source = before_pool.args[0]
        for i, amount in enumerate(before_pool.attrs.pad_width):
            amounts[i // 2][i % 2] += int(amount)
    before, after = amounts[axis]
    elsewhere = any(any(pair) for i, pair in enumerate(amounts) if i != axis)
    if elsewhere or before + after + 1 != sizes[wide[0]] or min(before, after) < 0:
        return None
    return source, axis, before, after


def _is_square(old: Dataflow, expr: Any, data: Any) -> bool:
    made: Any = _without_shapes(old, expr)
    if is_call(made, "relax.square"):
        return bool(made.args[0].same_as(data))
    return is_call(made, "relax.multiply") and all(arg.same_as(data) for arg in made.args)


def _same_axis(pooled: Sequence[int], axis: int, shape: Sequence[int]) -> int | None:
    """The axis of a tensor that is `axis` of the same elements in another shape."""
    behind = prod(pooled[axis + 1 :])
    return next(
        (
            a
            for a, length in enumerate(shape)
            if length == pooled[axis] and prod(shape[a + 1 :]) == behind
        ),
        None,
    )
