"""Poolings that other poolings do as well.

- spelling: along one axis, one with a width of 1; adaptive ones with equal windows, ordinary ones;
  with a size that is rounded up, one with more padding, if that is equal.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import Call

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter, with_width
from ...ir.dataflow import is_call, shape_of


@SPELLINGS.register("relax.nn.max_pool1d", "relax.nn.avg_pool1d")
def _along_one_axis(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    a = call.attrs
    if (a.layout, a.out_layout) != ("NCW", "NCW"):
        return None
    pool = {
        "relax.nn.max_pool1d": relax.op.nn.max_pool2d,
        "relax.nn.avg_pool1d": relax.op.nn.avg_pool2d,
    }[call.op.name]
    before, after = a.padding
    result = pool(
        with_width(rewriter, rewriter.new(call.args[0])),
        pool_size=(a.pool_size[0], 1),
        strides=(a.strides[0], 1),
        padding=(before, 0, after, 0),
        dilation=(a.dilation[0], 1),
        ceil_mode=a.ceil_mode,
        count_include_pad=a.count_include_pad,
    )
    typed = relax.BlockBuilder().normalize(result)
    return relax.op.reshape(rewriter.emit(_without_ceil(typed)), shape_of(call))


@SPELLINGS.register("relax.nn.adaptive_avg_pool2d", "relax.nn.adaptive_max_pool2d")
def _adaptive(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    shape, layout = shape_of(call.args[0]), call.attrs.layout
    if layout not in ("NCHW", "NHWC") or call.attrs.out_layout != layout:
        return None
    axes = [layout.index("H"), layout.index("W")]
    average = is_call(call, "relax.nn.adaptive_avg_pool2d")
    out = [shape_of(call)[axis] for axis in axes]
    if out == [1, 1]:
        reduce = relax.op.mean if average else relax.op.max
        return reduce(rewriter.new(call.args[0]), axis=axes, keepdims=True)
    if any(shape[axis] % size for axis, size in zip(axes, out)):
        return None
    window = [shape[axis] // size for axis, size in zip(axes, out)]
    pool = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
    return pool(rewriter.new(call.args[0]), pool_size=window, strides=window, layout=layout)


@SPELLINGS.register("relax.nn.max_pool2d", "relax.nn.avg_pool2d")
def _rounded_up(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    if not call.attrs.ceil_mode:
        return None
    changed = _without_ceil(call)
    if changed is call:
        return None
    return Call(changed.op, [rewriter.new(call.args[0])], changed.attrs)


def _without_ceil(call: Any) -> Any:
    """The pooling with its rounding up of sizes said as padding; the same call if unequal."""
    a = call.attrs
    padding_counts = is_call(call, "relax.nn.avg_pool2d") and a.count_include_pad
    if not a.ceil_mode or (padding_counts and any(int(p) for p in a.padding)):
        return call
    shape, out = shape_of(call.args[0]), shape_of(call)
    padding = [int(p) for p in a.padding]
    for index, letter in enumerate("HW"):
        axis, out_axis = a.layout.index(letter), a.out_layout.index(letter)
        start = (out[out_axis] - 1) * a.strides[index]
        if start >= shape[axis] + padding[index]:  # a window that sees nothing but padding
            return call
        span = (a.pool_size[index] - 1) * a.dilation[index] + 1
        after = start + span - shape[axis] - padding[index]
        padding[index + 2] = max(after, 0)
    pool = relax.op.nn.max_pool2d
    if is_call(call, "relax.nn.avg_pool2d"):
        pool = relax.op.nn.avg_pool2d
    return pool(
        call.args[0],
        pool_size=a.pool_size,
        strides=a.strides,
        padding=padding,
        dilation=a.dilation,
        ceil_mode=False,
        count_include_pad=False,  # what is added here never counts
        layout=a.layout,
        out_layout=a.out_layout,
    )
