"""Slices along axes.

- spelling: parts of a split are slices;
- constants: a whole one is an identity;
- layout: along the axes where they lie;
- moves: always;
- selection: `dero.slice`;
- element sums: always;
- channel selection: of pixels;
- the network's description: of a run of channels.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, TUPLE_SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import IDENTITIES
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader, changes_pixels
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import Dataflow, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept, the_kept
from ...reorganization.description import Convolution, Slice
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from ..arg_extreme import INDEX_TYPES
from .registry import Refusal


@TUPLE_SPELLINGS.register("relax.split")
def _split(rewriter: SpellingRewriter, call: Any, index: int) -> relax.Expr | None:
    shape = shape_of(call.args[0])
    axis = call.attrs.axis % len(shape)
    sections = call.attrs.indices_or_sections
    if hasattr(sections, "value") or isinstance(sections, int):
        length = math.ceil(shape[axis] / int(sections))
        begin, end = index * length, min((index + 1) * length, shape[axis])
    else:
        bounds = [0, *(int(s) for s in sections), shape[axis]]
        begin, end = bounds[index], bounds[index + 1]
    return relax.op.strided_slice(rewriter.new(call.args[0]), axes=[axis], begin=[begin], end=[end])


@SPELLINGS.register("relax.split")
def _split_whole(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """A split into one part, whose type is no tuple."""
    return rewriter.new(call.args[0]) if isinstance(call.ty, relax.TensorType) else None


@IDENTITIES.register("relax.strided_slice")
def _goes_forward(call: Any) -> bool:
    steps = call.args[4].fields if len(call.args) > 4 else []
    return all(int(getattr(step, "value", step)) > 0 for step in steps)


@LAYOUT.register("relax.strided_slice")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    parameters = [rewriter.old.definition(arg) for arg in call.args[1:]]
    if not all(isinstance(parameter, relax.Tuple) for parameter in parameters):
        raise Refusal("its bounds are computed")
    data, order = rewriter.regular(call.args[0])
    lists = [[int(getattr(f, "value", f)) for f in p.fields] for p in parameters]
    axes = [order.index(axis % len(order)) for axis in lists[0]]
    new = relax.op.strided_slice(data, axes, *lists[1:], assume_inbound=call.attrs.assume_inbound)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


MOVES.register("relax.strided_slice")(always)


MORE_TYPES.register("relax.strided_slice")(INDEX_TYPES)


@SELECTION.register("relax.strided_slice")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    parameters = [rewriter.old.definition(arg) for arg in call.args[1:]]
    if not all(isinstance(parameter, relax.Tuple) for parameter in parameters):
        raise Refusal("its bounds are computed")
    shape = shape_of(call.args[0])
    axes, *bounds = ([int(getattr(f, "value", f)) for f in p.fields] for p in parameters)
    steps = bounds[2] if len(bounds) > 2 else [1] * len(axes)
    begin, end, strides = [0] * len(shape), list(shape), [1] * len(shape)
    for axis, first, stop, step in zip(axes, bounds[0], bounds[1], steps):
        if step < 1:
            raise Refusal(f"its step along axis {axis} is {step}")
        axis %= len(shape)
        begin[axis], end[axis], strides[axis] = *slice(first, stop).indices(shape[axis])[:2], step
    if any(b >= e for b, e in zip(begin, end)):
        raise Refusal("its result is empty")
    return rewriter.dero(
        "slice",
        [rewriter.new(call.args[0])],
        begin=tuple(begin),
        end=tuple(end),
        strides=tuple(strides),
    )


@READERS.register("relax.strided_slice")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    parameters = [reader.old.definition(arg) for arg in call.args[1:]]
    if not all(isinstance(parameter, relax.Tuple) for parameter in parameters):
        raise NotLinear("takes a slice that is computed")
    axes, *bounds = ([int(getattr(f, "value", f)) for f in p.fields] for p in parameters)
    steps = bounds[2] if len(bounds) > 2 else [1] * len(axes)
    whole = [slice(None)] * len(shape_of(call.args[0]))
    for axis, begin, end, step in zip(axes, bounds[0], bounds[1], steps):
        whole[axis] = slice(begin, end, step)
    return reader.value(call.args[0]).moved(lambda a: a[tuple(whole)])


@UNUSUAL.register("relax.strided_slice")
def _is_unusual(old: Dataflow, call: Any) -> bool:
    return changes_pixels(old, call) or _has_steps(old, call)


def _has_steps(old: Dataflow, call: Any) -> bool:
    if len(call.args) < 5:
        return False
    steps = old.definition(call.args[4])
    return any(int(getattr(step, "value", step)) != 1 for step in getattr(steps, "fields", []))


@NARROWING.register("dero.slice")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    if signature.output.channels != signature.inputs[0].channels:
        raise CannotNarrow("channels are split by a slice")
    begin = (*attrs["begin"][:-1], 0)
    end = (*attrs["end"][:-1], len(the_kept(kept)))
    return operands, attrs | {"begin": begin, "end": end}, kept[0]


@DESCRIPTION.register("dero.slice")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    (tensor,) = description.operands(name, data)
    shape = description.shape(tensor.source)
    old, new = data.signature.inputs[0].shape, data.signature.output.shape
    begins, ends, steps = (data.signature[key] for key in ("begin", "end", "strides"))
    axes = [axis for axis in range(len(old)) if old[axis] != new[axis]]
    strided = steps is not None and any(steps[axis] != 1 for axis in axes)
    if len(shape) != 3 or strided or len(axes) != 1:
        raise no_counterpart(name, data, " of what is no run of channels")
    (axis,) = axes
    if axis == description.channel_axis(tensor, len(old)):
        made = Slice(name, (tensor.source,), (*shape[:-1], new[axis]), begins[axis], ends[axis])
        return replace(tensor, source=description.add(made).source)
    if not _cropped(description, name, tensor.source, old[axis], begins[axis], ends[axis]):
        raise no_counterpart(name, data, " of what is no run of channels")
    return tensor


def _cropped(
    description: PartialDescription, name: str, source: str, length: int, begin: int, end: int
) -> bool:
    """Whether a convolution can pad less, so that it has only some rows or columns of its result.

    Causal convolutions are written so: padded on both sides, with the surplus cut off.
    """
    conv = description.nodes.get(source)
    if not isinstance(conv, Convolution) or conv.pool is not None:
        return False
    axes = [axis for axis in (0, 1) if conv.shape[axis] == length]
    if len(axes) != 1 or not description.alone(source, name):
        return False
    (axis,) = axes
    window = conv.window
    padding = list(window.padding)
    size = description.shape(conv.inputs[0])[axis]
    stride, reach = window.strides[axis], window.dilation[axis] * (window.kernel[axis] - 1) + 1
    padding[axis] -= begin * stride
    padding[axis + 2] = (end - begin - 1) * stride + reach - size - padding[axis]
    if min(padding) < 0:
        return False
    shape = list(conv.shape)
    shape[axis] = end - begin
    top, left, bottom, right = padding
    window = replace(window, padding=(top, left, bottom, right))
    description.nodes[source] = replace(conv, window=window, shape=tuple(shape))
    return True
