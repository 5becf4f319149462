"""Mean, sum, product, largest and smallest element along axes.

- spelling: of a stack, arithmetic; of means over height and then width, one over both; axes of
  length 1 beyond four left out;
- layout: along the axes where they lie;
- moves: the largest and the smallest element are elements;
- selection: with a clamp, `dero.reduce`;
- integers: means and sums;
- element sums: means and sums, but over an image's pixels, which is the pooling at a network's end;
- channel selection: over pixels, channel by channel;
- the network's description: a mean over all pixels.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp, integer_factors, refuse_overflow
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import is_call, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept
from ...reorganization.partial_description import (
    DESCRIPTION,
    DescribedTensor,
    PartialDescription,
    clamp_of,
    global_pool,
)
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from .. import quantized as factors
from ..fixed_point import ACTIVATIONS, onnx_rounding
from ..sum_range import SumRange

_OPERATORS = {
    "relax.mean": relax.op.mean,
    "relax.sum": relax.op.sum,
    "relax.max": relax.op.max,
    "relax.min": relax.op.min,
    "relax.prod": relax.op.prod,
}
_OF_TWO = {
    "relax.sum": relax.op.add,
    "relax.max": relax.op.maximum,
    "relax.min": relax.op.minimum,
}


_MOST_AXES = 4  # that layouts and rows tell apart: image, height, width, channels


def _axes_of(call: Any) -> list[int]:
    """The axes that are reduced, in ascending order, counted from the front."""
    rank = len(shape_of(call.args[0]))
    axes = range(rank) if call.attrs.axis is None else call.attrs.axis
    return sorted({int(axis) % rank for axis in axes})


@SPELLINGS.register(*_OPERATORS)
def _spell(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    forms = (_mean_of_means, _of_a_stack, _of_few_axes)
    found = (form(rewriter, call) for form in forms)
    return next((spelled for spelled in found if spelled is not None), None)


def _of_few_axes(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Of more than four axes, without those of length 1, as mapped functions leave them."""
    shape = shape_of(call.args[0])
    long = [axis for axis, length in enumerate(shape) if length > 1]
    if len(shape) <= _MOST_AXES or len(long) + 1 >= len(shape):
        return None
    axes = _axes_of(call)
    reduced = [place for place, axis in enumerate(long, 1) if axis in axes]
    if not reduced:
        return None
    lengths = (1, *(shape[axis] for axis in long))
    data = rewriter.emit(relax.op.reshape(rewriter.new(call.args[0]), lengths))
    result = rewriter.emit(_OPERATORS[call.op.name](data, axis=reduced, keepdims=True))
    return relax.op.reshape(result, shape_of(call))


def _of_a_stack(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Over the axis that a stack made: arithmetic of its operands."""
    if call.op.name not in _OF_TWO:
        return None
    stack = rewriter.old.definition(call.args[0])
    if not is_call(stack, "relax.stack") or call.attrs.keepdims:
        return None
    if _axes_of(call) != [stack.attrs.axis % len(shape_of(call.args[0]))]:
        return None
    fields = rewriter.old.definition(stack.args[0])
    if not isinstance(fields, relax.Tuple):
        return None
    total, *others = (rewriter.new(field) for field in fields.fields)
    for other in others:
        total = rewriter.emit(_OF_TWO[call.op.name](total, other))
    return total


def _mean_of_means(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Over height and width, however they are named one after the other."""
    if call.op.name != "relax.mean":
        return None
    below: Any = rewriter.old.definition(call.args[0])
    shape = shape_of(call.args[0])
    axes = _axes_of(call)
    if is_call(below, "relax.reshape", "relax.flatten") and len(shape) == 3 and axes == [2]:
        image = shape_of(below.args[0])
        if len(image) != 4 or image[:2] != shape[:2]:
            return None
    elif is_call(below, "relax.mean") and len(shape_of(below.args[0])) == 4:
        image = shape_of(below.args[0])
        inner = _axes_of(below)
        left = [axis for axis in range(4) if below.attrs.keepdims or axis not in inner]
        if {*inner, *(left[axis] for axis in axes)} != {2, 3}:
            return None
    else:
        return None
    mean = rewriter.emit(relax.op.mean(rewriter.new(below.args[0]), axis=[2, 3], keepdims=True))
    return relax.op.reshape(mean, shape_of(call))


@LAYOUT.register(*_OPERATORS)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = rewriter.regular(call.args[0])
    rank = len(order)
    native = _axes_of(call)
    axes = sorted(order.index(axis) for axis in native)
    new = _OPERATORS[call.op.name](data, axis=axes, keepdims=call.attrs.keepdims)
    if call.attrs.keepdims:
        return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))
    left = [axis for axis in range(rank) if axis not in native]
    kept = [left.index(axis) for axis in order if axis not in native]
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), kept))


MOVES.register("relax.max", "relax.min")(always)


@SELECTION.register(*_OPERATORS)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    kind = {"relax.prod": "product"}.get(call.op.name, call.op.name.removeprefix("relax."))
    if kind not in ("max", "min"):
        check_float32(call)
    axes = tuple(_axes_of(call))
    return rewriter.clamped(
        var, "reduce", [call.args[0]], kind=kind, axes=axes, keepdims=call.attrs.keepdims
    )


@INTEGERS.register("relax.mean", "relax.sum")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0], ACTIVATIONS)
    if source is None:
        return None
    shape = shape_of(call.args[0])
    axes = tuple(_axes_of(call))
    epilogue = rewriter.epilogue(var, dtype=source.dtype)
    count = prod(shape[axis] for axis in axes)
    if is_call(call, "relax.mean"):
        kind = "mean"
        multiplier, shift = integer_factors(
            factors.mean_factors, source.scale, epilogue.scale, count, source.dtype
        )
    else:
        kind = "sum"
        multiplier, shift = integer_factors(
            factors.sum_factors, source.scale, epilogue.scale, source.dtype
        )
    sums = SumRange.of_elements(count, source.zero_point, source.dtype)
    refuse_overflow(sums, multiplier, shift)
    return rewriter.dero(
        "reduce",
        [source.data],
        epilogue.fused,
        kind=kind,
        axes=axes,
        keepdims=call.attrs.keepdims,
        input_zero_point=source.zero_point,
        output_zero_point=epilogue.zero_point,
        multiplier=multiplier,
        shift=shift,
        rounding=onnx_rounding(rewriter.rounding, multiplier, shift, sums.greatest),
        **integer_clamp(epilogue),
    )


@READERS.register("relax.sum", "relax.mean")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    if _over_the_image(call) and 1 not in shape_of(call.args[0])[2:]:
        raise NotLinear("is pooled over the image")
    value = reader.value(call.args[0])
    axes = _axes_of(call)
    count = int(np.prod([value.shape[axis] for axis in axes]))
    reader.limit(value.cost * 2, len(value.terms) * count)
    for axis in reversed(axes):
        value = value.summed(axis)
    if is_call(call, "relax.mean"):
        value = value.scaled(np.float64(1.0 / count))
    shape = shape_of(call)
    return value.moved(lambda a: a.reshape(shape))


def _over_the_image(call: Any) -> bool:
    """A mean or sum over height and width of an image: the pooling at the network's end."""
    return len(shape_of(call.args[0])) == 4 and _axes_of(call) == [2, 3]


@NARROWING.register("dero.reduce")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    rank = len(signature.inputs[0].shape)
    if rank - 1 in (axis % rank for axis in attrs["axes"]):
        raise CannotNarrow("the reduction runs over channels")
    return operands, attrs, kept[0]


@DESCRIPTION.register("dero.reduce")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    signature = data.signature
    (tensor,) = description.operands(name, data)
    rank, shape = len(signature.inputs[0].shape), description.shape(tensor.source)
    lengths = signature.inputs[0].shape
    of_channels = description.channel_axis(tensor, rank)
    axes = {axis % rank for axis in signature["axes"]} - {0}
    pixels = {axis for axis in range(1, rank) if axis != of_channels}
    others = {axis for axis in pixels - axes if lengths[axis] > 1}
    if signature["kind"] != "mean" or rank < 3 or not axes <= pixels or others:
        raise no_counterpart(name, data, " that is no mean over the pixels")
    if len(shape) == 3:
        channels = lengths[of_channels]
        pooled = description.add(global_pool(description, name, tensor.source, channels))
        tensor = replace(tensor, source=pooled.source)
    first = tensor.channels_first and len(signature.output.shape) > 2
    return description.activated(
        name, replace(tensor, channels_first=first), clamp_of(signature.attrs)
    )
