"""How each Relax operator becomes an operator of docs/operators.md; the table of `SelectOperators`.

A handler returns the new expression, or None to leave the operator to TVM.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax

from ..ir.dataflow import Dataflow, dtype_of, is_call, operands_of, shape_of
from ..operators import spec_of
from ..operators.pool2d import windows_meet_image
from ..operators.resize2d import ONNX_ROUNDINGS
from .epilogue import Epilogue, float_epilogue, take_integer_clamp
from .fold_constants import clip_bounds, permutation

if TYPE_CHECKING:
    from .select_operators import SelectionRewriter

Handler = Callable[["SelectionRewriter", relax.Var, Any], "relax.Expr | None"]

_TYPES = ("float32", "int8")
_LARGEST_RANK = 5  # of the row kernels

_UNARY = {
    "relax.abs": "abs",
    "relax.ceil": "ceil",
    "relax.erf": "erf",
    "relax.exp": "exp",
    "relax.floor": "floor",
    "relax.log": "log",
    "relax.negative": "negative",
    "relax.nn.gelu": "gelu",
    "relax.nn.gelu_tanh": "gelu_tanh",
    "relax.nn.leakyrelu": "leaky_relu",
    "relax.nn.silu": "silu",
    "relax.round": "round",
    "relax.rsqrt": "rsqrt",
    "relax.sigmoid": "sigmoid",
    "relax.sqrt": "sqrt",
    "relax.tanh": "tanh",
}
_BINARY = {
    f"relax.{name}": name
    for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
}
_RESIZE_ROUNDING = {
    **ONNX_ROUNDINGS,
    "round": "round_half_down",  # to even in TVM; taken only where no position is a tie
}


def handler_arguments_ok(old: Dataflow, call: Any) -> bool:
    """True if the tensors have types and ranks that the project's kernels take.

    Scalars may be constants, also dequantized ones.
    """
    tensors = [o for o in (*operands_of(call), call) if isinstance(o.ty, relax.TensorType)]
    return all(
        dtype_of(tensor) in _TYPES and 1 <= len(shape_of(tensor)) <= _LARGEST_RANK
        for tensor in tensors
        if not (len(shape_of(tensor)) == 0 and old.constant(tensor) is not None)
    )


def _conv2d(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NHWC", "OHWI", "NHWC"):
        return None
    if any(dtype_of(arg) != "float32" for arg in call.args):
        return None
    epilogue = float_epilogue(rewriter.old, var, bias=True)
    result = rewriter.dero(
        "conv2d",
        [*(rewriter.new(arg) for arg in call.args), _bias(epilogue, shape_of(call)[-1])],
        strides=a.strides,
        padding=a.padding,
        dilation=a.dilation,
        groups=a.groups,
        **epilogue.clamp,
    )
    return rewriter.finish(result, epilogue.absorbed)


def _matmul(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    weight = rewriter.old.constant(call.args[1])
    if weight is None or len(weight.shape) != 2 or dtype_of(call.args[0]) != "float32":
        return None
    if len(shape_of(call.args[0])) < 2:
        return None
    epilogue = float_epilogue(rewriter.old, var, bias=True)
    result = rewriter.dero(
        "dense",
        [
            rewriter.new(call.args[0]),
            relax.const(np.ascontiguousarray(weight.real().T)),
            _bias(epilogue, weight.shape[1]),
        ],
        **epilogue.clamp,
    )
    return rewriter.finish(result, epilogue.absorbed)


def _bias(epilogue: Epilogue, channels: int) -> relax.Expr:
    if epilogue.bias is None:
        return relax.const(np.zeros(channels, np.float32))
    return relax.const(np.ascontiguousarray(epilogue.bias.real(), np.float32))


def _clamped(
    rewriter: SelectionRewriter,
    var: relax.Var,
    name: str,
    args: list[relax.Expr],
    **attrs: Any,
) -> relax.Expr:
    """An operator of its operands' type, with the clamp that follows it."""
    if dtype_of(var) == "int8":
        epilogue = Epilogue(var)
        take_integer_clamp(rewriter.old, epilogue)
        bounds: dict[str, Any] = {"minimum": epilogue.minimum, "maximum": epilogue.maximum}
    else:
        epilogue = float_epilogue(rewriter.old, var)
        bounds = epilogue.clamp
    result = rewriter.dero(name, [rewriter.new(arg) for arg in args], **attrs, **bounds)
    return rewriter.finish(result, epilogue.absorbed)


def _binary(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    name = _BINARY[call.op.name]
    dtypes = {dtype_of(arg) for arg in call.args}
    if dtypes != {"float32"} and not (dtypes == {"int8"} and name in ("maximum", "minimum")):
        return None
    return _clamped(rewriter, var, name, [_at_least_a_vector(rewriter, arg) for arg in call.args])


def _at_least_a_vector(rewriter: SelectionRewriter, arg: relax.Expr) -> relax.Expr:
    """Kernels read rows, and a scalar has none."""
    constant = rewriter.old.constant(arg)
    if constant is None or constant.shape:
        return arg
    return relax.const(constant.real().reshape(1))


def _unary(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    if dtype_of(call.args[0]) != "float32":
        return None
    attrs = {"alpha": float(call.attrs.alpha)} if is_call(call, "relax.nn.leakyrelu") else {}
    function = _UNARY[call.op.name]
    return _clamped(rewriter, var, "unary", [call.args[0]], function=function, **attrs)


def _square(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    if dtype_of(call.args[0]) != "float32":
        return None
    return _clamped(rewriter, var, "multiply", [call.args[0], call.args[0]])


def _clamp(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """`relu` or `clip` that no operator before it could take over."""
    data = rewriter.new(call.args[0])
    if dtype_of(call.args[0]) == "int8":
        low, high = clip_bounds(call) if is_call(call, "relax.clip") else (0.0, 127.0)
        table = np.clip(np.arange(-128, 128), low, high).astype(np.int8)
        return rewriter.dero("lookup", [data, relax.const(table)])
    if is_call(call, "relax.nn.relu"):
        return _clamped(rewriter, var, "unary", [call.args[0]], function="relu")
    low, high = clip_bounds(call)
    bounds = {
        "minimum": None if low == -math.inf else low,
        "maximum": None if high == math.inf else high,
    }
    return rewriter.dero("unary", [data], function="clip", **bounds)


def _pool2d(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    average = is_call(call, "relax.nn.avg_pool2d")
    if (a.layout, a.out_layout) != ("NHWC", "NHWC") or a.ceil_mode:
        return None
    if average and dtype_of(call) != "float32":
        return None
    window = {
        "pool_size": a.pool_size,
        "strides": a.strides,
        "padding": a.padding,
        "dilation": a.dilation,
        "count_include_pad": a.count_include_pad,
    }
    if not windows_meet_image(spec_of(call.args[0].ty), window):
        return None
    kind = "average" if average else "max"
    return _clamped(rewriter, var, "pool2d", [call.args[0]], kind=kind, **window)


def _reduce(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    kind = call.op.name.removeprefix("relax.")
    if dtype_of(call) != "float32" and kind not in ("max", "min"):
        return None
    rank = len(shape_of(call.args[0]))
    axes = range(rank) if call.attrs.axis is None else call.attrs.axis
    axes = tuple(sorted(int(axis) % rank for axis in axes))
    return _clamped(
        rewriter, var, "reduce", [call.args[0]], kind=kind, axes=axes, keepdims=call.attrs.keepdims
    )


def _concat(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    fields = rewriter.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        return None
    axis = call.attrs.axis % len(shape_of(call))
    return rewriter.dero("concat", [rewriter.new(field) for field in fields.fields], axis=axis)


def _pad(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    width = [int(w) for w in a.pad_width]
    if a.pad_mode != "constant" or min(width) < 0:
        return None
    value = float(getattr(a.pad_value, "value", a.pad_value))
    return rewriter.dero(
        "pad",
        [rewriter.new(call.args[0])],
        pad_before=tuple(width[0::2]),
        pad_after=tuple(width[1::2]),
        value=int(value) if dtype_of(call) == "int8" else value,
    )


def _resize2d(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    coordinates = str(a.coordinate_transformation_mode)
    if a.layout != "NHWC" or a.method != "nearest_neighbor":
        return None
    if coordinates not in ("asymmetric", "half_pixel", "align_corners"):
        return None
    rounding = str(a.rounding_method) or ("round" if coordinates == "align_corners" else "floor")
    if rounding not in _RESIZE_ROUNDING:
        return None
    if rounding == "round" and _has_ties(shape_of(call.args[0]), shape_of(call), coordinates):
        return None
    return rewriter.dero(
        "resize2d",
        [rewriter.new(call.args[0])],
        size=shape_of(call)[1:3],
        coordinates=coordinates,
        rounding=_RESIZE_ROUNDING[rounding],
        arithmetic="multiply" if rewriter.rounding == "double" else "divide",
    )


def _has_ties(shape: tuple[int, ...], out: tuple[int, ...], coordinates: str) -> bool:
    """True if a position of nearest-neighbour resizing lies midway between two pixels."""
    for axis in (1, 2):
        scale = Fraction(shape[axis], out[axis])
        if coordinates == "align_corners":
            scale = Fraction(shape[axis] - 1, max(out[axis] - 1, 1))
        shift = Fraction(1, 2) if coordinates == "half_pixel" else Fraction(0)
        if any(((i + shift) * scale - shift) % 1 == Fraction(1, 2) for i in range(out[axis])):
            return True
    return False


def _permute_dims(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    return rewriter.dero("transpose", [rewriter.new(call.args[0])], axes=permutation(call))


def _reshape(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    return rewriter.dero("reshape", [rewriter.new(call.args[0])], shape=shape_of(call))


def _strided_slice(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    parameters = [rewriter.old.definition(arg) for arg in call.args[1:]]
    if not all(isinstance(parameter, relax.Tuple) for parameter in parameters):
        return None
    shape = shape_of(call.args[0])
    axes, *bounds = ([int(getattr(f, "value", f)) for f in p.fields] for p in parameters)
    steps = bounds[2] if len(bounds) > 2 else [1] * len(axes)
    begin, end, strides = [0] * len(shape), list(shape), [1] * len(shape)
    for axis, first, stop, step in zip(axes, bounds[0], bounds[1], steps):
        if step < 1:
            return None
        axis %= len(shape)
        begin[axis], end[axis], strides[axis] = *slice(first, stop).indices(shape[axis])[:2], step
    if any(b >= e for b, e in zip(begin, end)):
        return None
    return rewriter.dero(
        "slice",
        [rewriter.new(call.args[0])],
        begin=tuple(begin),
        end=tuple(end),
        strides=tuple(strides),
    )


def _softmax(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    if call.attrs.axis % len(shape_of(call)) != len(shape_of(call)) - 1:
        return None
    if dtype_of(call) != "float32":
        return None
    return rewriter.dero("softmax", [rewriter.new(call.args[0])])


def _quantize(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    parameters = _scale_and_zero_point(rewriter, call)
    if parameters is None or call.attrs.out_dtype != "int8":
        return None
    scale, zero_point = parameters
    return rewriter.dero(
        "quantize",
        [rewriter.new(call.args[0])],
        scale=scale,
        zero_point=zero_point,
        rounding=rewriter.quantize_rounding,
    )


def _dequantize(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    parameters = _scale_and_zero_point(rewriter, call)
    if parameters is None or dtype_of(call.args[0]) != "int8" or dtype_of(call) != "float32":
        return None
    scale, zero_point = parameters
    return rewriter.dero(
        "dequantize", [rewriter.new(call.args[0])], scale=scale, zero_point=zero_point
    )


def _scale_and_zero_point(rewriter: SelectionRewriter, call: Any) -> tuple[float, int] | None:
    scale, zero_point = (rewriter.old.constant(arg) for arg in call.args[1:])
    if scale is None or zero_point is None:
        return None
    if scale.values.size != 1 or zero_point.values.size != 1:
        return None
    return float(scale.values.item()), int(zero_point.values.item())


HANDLERS: dict[str, Handler] = {
    "relax.nn.conv2d": _conv2d,
    "relax.matmul": _matmul,
    "relax.square": _square,
    "relax.nn.relu": _clamp,
    "relax.clip": _clamp,
    "relax.nn.max_pool2d": _pool2d,
    "relax.nn.avg_pool2d": _pool2d,
    "relax.mean": _reduce,
    "relax.sum": _reduce,
    "relax.max": _reduce,
    "relax.min": _reduce,
    "relax.concat": _concat,
    "relax.nn.pad": _pad,
    "relax.image.resize2d": _resize2d,
    "relax.permute_dims": _permute_dims,
    "relax.reshape": _reshape,
    "relax.strided_slice": _strided_slice,
    "relax.nn.softmax": _softmax,
    "relax.quantize": _quantize,
    "relax.dequantize": _dequantize,
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_BINARY, _binary),
}
