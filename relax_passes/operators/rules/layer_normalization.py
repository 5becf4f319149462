"""Normalizations whose statistics are of the data: of layers, of groups, of instances.

- spelling: an instance's is a group's of single channels; one with computed weights is one without,
  times and plus them; a layer's over whole images is a group's,
  times and plus tensors; a variance is a mean of squares;
- layout: channels last;
- selection: `dero.layer_norm` for each pixel, `dero.moments` and `dero.normalize` for images;
- integers: the same, of int8 and to int8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.epilogue import float_epilogue
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...canonicalization.spell_normalizations import channel_axis_of, group_norm
from ...ir.dataflow import Dataflow, is_call, shape_of
from .registry import Refusal

_OF_PIXELS = ("relax.nn.layer_norm", "relax.nn.rms_norm")
_Emit = Callable[..., relax.Expr]


@SPELLINGS.register("relax.nn.instance_norm")
def _of_single_channels(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    axis = int(call.attrs.channel_axis) % len(shape_of(call))
    axes = sorted(int(a) % len(shape_of(call)) for a in call.attrs.axes)
    if 0 in axes and shape_of(call)[0] > 1:
        return None
    if not _are_constant(rewriter, call):
        return _weighed(rewriter, call, axis, shape_of(call)[axis])
    return relax.op.nn.group_norm(
        *(rewriter.new(arg) for arg in call.args),
        num_groups=shape_of(call)[axis],
        channel_axis=axis,
        axes=[a for a in axes if a != 0],
        epsilon=call.attrs.epsilon,
        center=call.attrs.center,
        scale=call.attrs.scale,
    )


@SPELLINGS.register("relax.nn.group_norm")
def _with_computed_weights(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    axis = int(call.attrs.channel_axis) % len(shape_of(call))
    over = sorted(int(a) % len(shape_of(call)) for a in call.attrs.axes)
    if _are_constant(rewriter, call) or 0 in over or len(over) != len(shape_of(call)) - 2:
        return None
    return _weighed(rewriter, call, axis, int(call.attrs.num_groups))


def _are_constant(rewriter: SpellingRewriter, call: Any) -> bool:
    return all(rewriter.old.constant(arg) is not None for arg in call.args[1:])


def _weighed(rewriter: SpellingRewriter, call: Any, axis: int, groups: int) -> relax.Expr:
    """A group's normalization, and then times and plus what is computed."""
    result = group_norm(rewriter.new(call.args[0]), axis, groups, call.attrs.epsilon)
    shape = [n if a == axis else 1 for a, n in enumerate(shape_of(call))]
    switches = (call.attrs.scale, relax.op.multiply), (call.attrs.center, relax.op.add)
    for arg, (counts, operation) in zip(call.args[1:], switches):
        if counts:
            vector = rewriter.emit(relax.op.reshape(rewriter.new(arg), shape))
            result = operation(rewriter.emit(result), vector)
    return result


@SPELLINGS.register("relax.nn.layer_norm")
def _of_images(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    shape = shape_of(call)
    axes = sorted(int(axis) % len(shape) for axis in call.attrs.axes)
    first = axes[0] if axes else 0
    if len(axes) < 2 or first not in (1, 2) or axes != list(range(first, len(shape))):
        return None
    groups = 1 if first == 1 else shape[1]
    whole = group_norm(rewriter.new(call.args[0]), 1, groups, call.attrs.epsilon)
    if call.attrs.scale:
        whole = relax.op.multiply(rewriter.emit(whole), rewriter.new(call.args[1]))
    if call.attrs.center:
        whole = relax.op.add(rewriter.emit(whole), rewriter.new(call.args[2]))
    return whole


@SPELLINGS.register("relax.variance")
def _mean_of_squares(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    data, axes = rewriter.new(call.args[0]), call.attrs.axis
    mean = rewriter.emit(relax.op.mean(data, axes, keepdims=True))
    difference = rewriter.emit(relax.op.subtract(data, mean))
    square = rewriter.emit(relax.op.multiply(difference, difference))
    return relax.op.mean(square, axes, keepdims=call.attrs.keepdims)


@LAYOUT.register(*_OF_PIXELS)
def _layout_of_pixels(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    axis = channel_axis_of(call)
    if axis < 0:
        raise Refusal(f"it is over {len(call.attrs.axes)} axes")
    data, layout = rewriter.innermost(call.args[0], axis)
    parameters = [rewriter.new(arg) for arg in call.args[1:]]
    if is_call(call, "relax.nn.rms_norm"):
        new = relax.op.nn.rms_norm(data, *parameters, [-1], call.attrs.epsilon)
    else:
        switches = {"center": call.attrs.center, "scale": call.attrs.scale}
        new = relax.op.nn.layer_norm(data, *parameters, [-1], call.attrs.epsilon, **switches)
    return rewriter.keep(var, new, layout)


@LAYOUT.register("relax.nn.group_norm")
def _layout_of_groups(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, shape = call.args[0], shape_of(call)
    axis = channel_axis_of(call)
    over = sorted(int(a) % len(shape) for a in call.attrs.axes)
    if over != [a for a in range(1, len(shape)) if a != axis]:
        raise Refusal(f"it is over the axes {over} of {len(shape)}")
    order = rewriter.regular_order(data)
    parameters = [rewriter.old.constant(arg) for arg in call.args[1:]]
    if order[0] != 0:
        raise Refusal("the batch is not its first axis in memory")
    if order[-1] != axis:
        plain = all(p is not None and np.ptp(p.real()) == 0 for p in parameters)
        if call.attrs.num_groups == 1 and plain:  # any axis may count as its channels
            axis = order[-1]
        else:
            order = tuple(a for a in order if a != axis) + (axis,)
    vectors = []
    for parameter, arg in zip(parameters, call.args[1:]):
        if parameter is None or shape_of(arg) == (shape[axis],):
            vectors.append(rewriter.new(arg))
        else:
            number = parameter.real().reshape(-1)[0]
            vectors.append(relax.const(np.full(shape[axis], number, "float32")))
    new = relax.op.nn.group_norm(
        rewriter.arrange(data, order),
        *vectors,
        num_groups=call.attrs.num_groups,
        channel_axis=len(shape) - 1,
        axes=list(range(1, len(shape) - 1)),
        epsilon=call.attrs.epsilon,
        center=call.attrs.center,
        scale=call.attrs.scale,
    )
    return rewriter.keep(var, new, Layout.permuted(shape, order))


@SELECTION.register(*_OF_PIXELS, "relax.nn.group_norm")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_float32(call)
    vectors = _vectors(rewriter.old, call)
    epilogue = float_epilogue(rewriter.old, var)
    emit = rewriter.dero
    result = _emit(emit, call, rewriter.new(call.args[0]), vectors, {}, epilogue.clamp)
    return rewriter.finish(result, epilogue.fused)


@INTEGERS.register(*_OF_PIXELS, "relax.nn.group_norm")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0])
    if source is None:
        return None
    vectors = _vectors(rewriter.old, call)
    epilogue = rewriter.epilogue(var)
    of_data = {"input_scale": source.scale, "input_zero_point": source.zero_point}
    of_result = {
        "output_scale": epilogue.scale,
        "output_zero_point": epilogue.zero_point,
        "rounding": "half_away" if rewriter.rounding == "double" else "half_even",
        **integer_clamp(epilogue),
    }

    def emit(name: str, args: list[relax.Expr], **attrs: Any) -> relax.Expr:
        return rewriter.dero(name, args, [], **attrs)

    result = _emit(emit, call, source.data, vectors, of_data, of_result)
    for fused in epilogue.fused:
        rewriter.replace(fused, result)
    return result


def _emit(
    emit: _Emit,
    call: Any,
    data: relax.Expr,
    vectors: list[relax.Expr],
    of_data: dict[str, Any],
    of_result: dict[str, Any],
) -> relax.Expr:
    epsilon = float(call.attrs.epsilon)
    if is_call(call, *_OF_PIXELS):
        centered = not is_call(call, "relax.nn.rms_norm")
        attrs = {"epsilon": epsilon, "centered": centered, **of_data, **of_result}
        return emit("layer_norm", [data, *vectors], **attrs)
    groups = int(call.attrs.num_groups)
    moments = emit("moments", [data], groups=groups, epsilon=epsilon, **of_data)
    return emit("normalize", [data, moments, *vectors], **of_data, **of_result)


def _vectors(old: Dataflow, call: Any) -> list[relax.Expr]:
    """Weight and bias.  Raises `Refusal` if they are not constant, or channels are not last."""
    shape, axis = shape_of(call), channel_axis_of(call)
    if axis != len(shape) - 1:
        raise Refusal(f"its channels, axis {axis}, are not the last of {len(shape)}")
    if is_call(call, "relax.nn.group_norm"):
        over = sorted(int(a) % len(shape) for a in call.attrs.axes)
        if len(shape) < 3 or over != list(range(1, len(shape) - 1)):
            raise Refusal(f"it is over the axes {over} of {len(shape)}")
    vectors = [np.ones(shape[-1], "float32"), np.zeros(shape[-1], "float32")]
    rms = is_call(call, "relax.nn.rms_norm")
    used = (True,) if rms else (bool(call.attrs.scale), bool(call.attrs.center))
    for index, (arg, counts) in enumerate(zip(call.args[1:], used)):
        constant = old.constant(arg)
        if constant is None and counts:
            raise Refusal("its weight or its bias is computed")
        if constant is not None and counts:
            vectors[index] = np.ascontiguousarray(constant.real().reshape(-1), "float32")
    return [relax.const(vector) for vector in vectors]
