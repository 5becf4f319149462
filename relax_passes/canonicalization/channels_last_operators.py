"""What each operator does to the layout of its operands; the table of `ChannelsLast`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import is_call, shape_of
from .channels_last_broadcast import binary
from .fold_constants import permutation
from .layout import Layout

if TYPE_CHECKING:
    from .channels_last import LayoutRewriter

Handler = Callable[["LayoutRewriter", relax.Var, Any], "relax.Expr | None"]

_UNARY = (
    "abs astype ceil clip cos erf exp floor log negative nn.gelu nn.gelu_tanh nn.leakyrelu nn.relu "
    "nn.silu nn.softplus round rsqrt sigmoid sign sin sqrt square tanh"
).split()
_BINARY = "add divide maximum minimum multiply power subtract".split()


# --- windows ---------------------------------------------------------------------------------


def _conv2d(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    if not _plain_layouts(a.data_layout, a.out_layout) or set(a.kernel_layout) != set("OIHW"):
        return None
    data = rewriter.arrange(call.args[0], _channels_last(a.data_layout))
    weight = rewriter.arrange(call.args[1], tuple(a.kernel_layout.index(c) for c in "OHWI"))
    conv = relax.op.nn.conv2d(
        data,
        weight,
        strides=a.strides,
        padding=a.padding,
        dilation=a.dilation,
        groups=a.groups,
        data_layout="NHWC",
        kernel_layout="OHWI",
        out_layout="NHWC",
        out_dtype=a.out_dtype or None,
    )
    return rewriter.keep(var, conv, Layout.permuted(shape_of(call), _channels_last(a.out_layout)))


def _pool2d(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    if not _plain_layouts(a.layout, a.out_layout):
        return None
    pool = {
        "relax.nn.max_pool2d": relax.op.nn.max_pool2d,
        "relax.nn.avg_pool2d": relax.op.nn.avg_pool2d,
    }[call.op.name]
    result = pool(
        rewriter.arrange(call.args[0], _channels_last(a.layout)),
        pool_size=a.pool_size,
        strides=a.strides,
        padding=a.padding,
        dilation=a.dilation,
        ceil_mode=a.ceil_mode,
        count_include_pad=a.count_include_pad,
        layout="NHWC",
    )
    return rewriter.keep(var, result, Layout.permuted(shape_of(call), _channels_last(a.out_layout)))


def _resize2d(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    if not _plain_layouts(a.layout):
        return None
    order = _channels_last(a.layout)
    result = relax.op.image.resize2d(
        rewriter.arrange(call.args[0], order),
        call.args[1],
        roi=tuple(float(getattr(r, "value", r)) for r in a.roi),
        layout="NHWC",
        method=a.method,
        coordinate_transformation_mode=a.coordinate_transformation_mode,
        rounding_method=a.rounding_method,
        cubic_alpha=a.cubic_alpha,
        cubic_exclude=a.cubic_exclude,
        extrapolation_value=a.extrapolation_value,
        out_dtype=a.out_dtype or None,
    )
    return rewriter.keep(var, result, Layout.permuted(shape_of(call), order))


def _plain_layouts(*layouts: str) -> bool:
    return all(len(layout) == 4 and set(layout) == set("NCHW") for layout in layouts)


def _channels_last(layout: str) -> tuple[int, ...]:
    return tuple(layout.index(letter) for letter in "NHWC")


# --- elementwise -----------------------------------------------------------------------------


def _unary(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data = call.args[0]
    others = [rewriter.new(arg) for arg in call.args[1:]]
    new = Call(call.op, [rewriter.stored(data), *others], call.attrs)
    return rewriter.keep(var, new, rewriter.layout(data))


def _quantization(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """`quantize` and `dequantize`; a scale for each channel follows its axis."""
    data, scale, zero_point = call.args
    if all(prod(shape_of(parameter)) == 1 for parameter in (scale, zero_point)):
        return _unary(rewriter, var, call)
    order = rewriter.permutation(data)
    if order is None:
        return None
    axis = order.index(call.attrs.axis % len(order))
    function = relax.op.quantize if is_call(call, "relax.quantize") else relax.op.dequantize
    new = function(
        rewriter.stored(data),
        rewriter.new(scale),
        rewriter.new(zero_point),
        axis=axis,
        out_dtype=call.attrs.out_dtype,
    )
    return rewriter.keep(var, new, rewriter.layout(data))


# --- names of axes ---------------------------------------------------------------------------


def _permute_dims(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data = call.args[0]
    layout = rewriter.layout(data).transposed(permutation(call))
    return rewriter.keep(var, rewriter.stored(data), layout)


def _reshape(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    data = call.args[0]
    layout = rewriter.layout(data).reshaped(shape_of(call))
    return None if layout is None else rewriter.keep(var, rewriter.stored(data), layout)


# --- operators along axes --------------------------------------------------------------------


def _regular(rewriter: LayoutRewriter, data: relax.Expr) -> tuple[relax.Expr, tuple[int, ...]]:
    """A new tensor whose axes are `data`'s in some order, and that order."""
    order = rewriter.permutation(data)
    if order is None:
        order = rewriter.layout(data).compact_order()
    return rewriter.arrange(data, order), order


def _softmax(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = _regular(rewriter, call.args[0])
    function = relax.op.nn.softmax
    if is_call(call, "relax.nn.log_softmax"):
        function = relax.op.nn.log_softmax
    axis = order.index(call.attrs.axis % len(order))
    axis = -1 if axis == len(order) - 1 else axis
    return rewriter.keep(var, function(data, axis=axis), Layout.permuted(shape_of(call), order))


def _prelu(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = _regular(rewriter, call.args[0])
    axis = order.index(call.attrs.axis % len(order))
    new = relax.op.nn.prelu(data, rewriter.new(call.args[1]), axis=axis)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


def _reduce(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = _regular(rewriter, call.args[0])
    rank = len(order)
    native = [int(a) % rank for a in (range(rank) if call.attrs.axis is None else call.attrs.axis)]
    function = {
        "relax.mean": relax.op.mean,
        "relax.sum": relax.op.sum,
        "relax.max": relax.op.max,
        "relax.min": relax.op.min,
    }[call.op.name]
    axes = sorted(order.index(axis) for axis in native)
    new = function(data, axis=axes, keepdims=call.attrs.keepdims)
    if call.attrs.keepdims:
        return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))
    left = [axis for axis in range(rank) if axis not in native]
    kept = [left.index(axis) for axis in order if axis not in native]
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), kept))


def _concat(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    fields = rewriter.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        return None
    operands = list(fields.fields)
    moving = [field for field in operands if rewriter.old.constant(field) is None]
    orders = {_regular_order(rewriter, field) for field in moving}
    if not orders:
        return None

    def cost(order: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        total = 0
        for field in moving:
            shape = tuple(shape_of(field)[axis] for axis in order)
            if rewriter.transposes(field, order, shape, rewriter.layout(field)):
                total += prod(shape)
        return total, order

    order = min(orders, key=cost)
    axis = order.index(call.attrs.axis % len(order))
    new = relax.op.concat([rewriter.arrange(field, order) for field in operands], axis=axis)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


def _regular_order(rewriter: LayoutRewriter, data: relax.Expr) -> tuple[int, ...]:
    return rewriter.permutation(data) or rewriter.layout(data).compact_order()


def _strided_slice(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    parameters = [rewriter.old.definition(arg) for arg in call.args[1:]]
    if not all(isinstance(parameter, relax.Tuple) for parameter in parameters):
        return None
    data, order = _regular(rewriter, call.args[0])
    lists = [[int(getattr(f, "value", f)) for f in p.fields] for p in parameters]
    axes = [order.index(axis % len(order)) for axis in lists[0]]
    new = relax.op.strided_slice(data, axes, *lists[1:], assume_inbound=call.attrs.assume_inbound)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


def _pad(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = _regular(rewriter, call.args[0])
    width = [int(w) for w in call.attrs.pad_width]
    moved = [w for axis in order for w in width[2 * axis : 2 * axis + 2]]
    new = relax.op.nn.pad(data, moved, call.attrs.pad_mode, call.attrs.pad_value)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


def _matmul(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Rows of constant weights in the order in which memory holds the contracted axis."""
    data = call.args[0]
    weight = rewriter.old.constant(call.args[1])
    layout = rewriter.layout(data)
    leading = range(len(layout.shape) - 1)
    lead = layout.order(leading)
    if weight is None or len(weight.shape) != 2 or lead != tuple(range(len(lead))):
        return None
    contracted = layout.axes[-1]
    rows = weight.reshape([*(layout.sizes[f] for f in contracted), weight.shape[1]])
    order = [contracted.index(factor) for factor in sorted(contracted)]
    moved = rows.transpose([*order, len(order)]).reshape(weight.shape)
    stored = rewriter.stored(data)
    if shape_of(stored) != layout.shape:
        stored = rewriter.emit(relax.op.reshape(stored, layout.shape))
    operand = call.args[1] if order == sorted(order) else None
    new_weight = rewriter.new(operand) if operand is not None else rewriter.weight(moved)
    new = relax.op.matmul(stored, new_weight, out_dtype=call.attrs.out_dtype or None)
    return rewriter.keep(var, new, Layout.native(shape_of(call)))


HANDLERS: dict[str, Handler] = {
    "relax.nn.conv2d": _conv2d,
    "relax.nn.max_pool2d": _pool2d,
    "relax.nn.avg_pool2d": _pool2d,
    "relax.image.resize2d": _resize2d,
    "relax.quantize": _quantization,
    "relax.dequantize": _quantization,
    "relax.permute_dims": _permute_dims,
    "relax.reshape": _reshape,
    "relax.nn.softmax": _softmax,
    "relax.nn.log_softmax": _softmax,
    "relax.nn.prelu": _prelu,
    "relax.mean": _reduce,
    "relax.sum": _reduce,
    "relax.max": _reduce,
    "relax.min": _reduce,
    "relax.concat": _concat,
    "relax.strided_slice": _strided_slice,
    "relax.nn.pad": _pad,
    "relax.matmul": _matmul,
    **{f"relax.{name}": _unary for name in _UNARY},
    **{f"relax.{name}": binary for name in _BINARY},
}


def passes_layout_on(rewriter: LayoutRewriter, call: Call, operand: relax.Var) -> bool:
    """True if the result lies as `operand` does, and nothing else decides."""
    if not is_call(call, *HANDLERS) or not isinstance(call.ty, relax.TensorType):
        return False
    handler = HANDLERS[call.op.name]
    if handler is binary:
        others = [arg for arg in call.args if not arg.same_as(operand)]
        return shape_of(operand) == shape_of(call) and all(
            rewriter.old.constant(arg) is not None for arg in others
        )
    return handler in (_unary, _quantization, _pad)


def demands_channels_last(call: Call, operand: relax.Var) -> bool:
    """True if the operator wants `operand`, whose native order is NCHW, channels-last."""
    if not call.args[0].same_as(operand):
        return False
    if is_call(call, "relax.nn.conv2d"):
        return call.attrs.data_layout == "NCHW"
    windows = ("relax.nn.max_pool2d", "relax.nn.avg_pool2d", "relax.image.resize2d")
    return is_call(call, *windows) and call.attrs.layout == "NCHW"
