"""Tensors after one another along an axis, or along a new one.

- layout: along the axis where it lies; the order of axes that moves the fewest elements;
- moves: always;
- selection: `dero.concat`;
- integers: operands of other scales than the result's are rescaled by tables first;
- element sums: always;
- channel selection: the channels that are kept of each operand;
- the network's description: a concatenation of channels.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.element_sums import ElementSum, joined
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader
from ...canonicalization.select_operators import SELECTION, SelectionRewriter
from ...ir.dataflow import Dataflow, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept
from ...reorganization.description import Concat
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from ..fixed_point import ACTIVATIONS
from .registry import Refusal


@LAYOUT.register("relax.concat")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    fields = rewriter.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        raise Refusal("its operands are a tuple that is computed")
    operands = list(fields.fields)
    moving = [field for field in operands if rewriter.old.constant(field) is None]
    orders = {rewriter.regular_order(field) for field in moving}
    if not orders:
        raise Refusal("all of its operands are constant")

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


MOVES.register("relax.concat")(always)


@SELECTION.register("relax.concat")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    fields = rewriter.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        raise Refusal("its operands are a tuple that is computed")
    axis = call.attrs.axis % len(shape_of(call))
    return rewriter.dero("concat", [rewriter.new(field) for field in fields.fields], axis=axis)


@INTEGERS.register("relax.concat")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Operands of other scales than the result's are rescaled by tables first."""
    fields = rewriter.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        return None
    sources = [rewriter.quantized(field, ACTIVATIONS) for field in fields.fields]
    if not any(rewriter.is_quantized(field) for field in fields.fields):
        return None
    if any(source is None for source in sources):
        raise Refusal("one of its operands is not quantized to int8 with one scale")
    types = {source.dtype for source in sources if source is not None}
    if len(types) != 1:
        raise Refusal(f"its operands are quantized to {' and '.join(sorted(types))}")
    epilogue = rewriter.epilogue(var, dtype=types.pop())
    bounds = integer_clamp(epilogue)
    clamped = bounds != {"minimum": None, "maximum": None}
    operands = []
    for source in sources:
        assert source is not None
        parameters = (source.scale, source.zero_point)
        if parameters == (epilogue.scale, epilogue.zero_point) and not clamped:
            operands.append(source.data)
            continue
        if source.dtype == "int16":
            raise Refusal("its operands have other scales than its result, or it is clamped")
        table = rewriter.concat_table(source, epilogue)
        operands.append(rewriter.looked_up(source, table, bounds))
    axis = call.attrs.axis % len(shape_of(call))
    return rewriter.dero("concat", operands, epilogue.fused, axis=axis)


@READERS.register("relax.concat")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    fields = reader.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        raise NotLinear("is concatenated from a tuple that is computed")
    rank = len(shape_of(call))
    return joined([reader.value(field) for field in fields.fields], int(call.attrs.axis) % rank)


@UNUSUAL.register("relax.concat")
def _is_unusual(_old: Dataflow, call: Any) -> bool:
    """Along another axis than an image's channels."""
    rank = len(shape_of(call))
    return rank != 4 or int(call.attrs.axis) % rank != 1


@READERS.register("relax.stack")
def _stack_elements(reader: RegionReader, call: Any) -> ElementSum:
    fields = reader.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        raise NotLinear("is stacked from a tuple that is computed")
    axis = int(call.attrs.axis) % len(shape_of(call))
    parts = [
        reader.value(field).moved(lambda a: np.expand_dims(a, axis)) for field in fields.fields
    ]
    return joined(parts, axis)


@NARROWING.register("dero.concat")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    widths = [spec.channels for spec in signature.inputs]
    filled = [np.arange(w) if k is None else k for w, k in zip(widths, kept)]
    if attrs["axis"] % len(signature.output.shape) == len(signature.output.shape) - 1:
        offsets = np.cumsum([0, *widths[:-1]])
        return operands, attrs, np.concatenate([k + o for k, o in zip(filled, offsets)])
    if not all(np.array_equal(k, filled[0]) for k in filled):
        raise CannotNarrow("the concatenation's operands keep different channels")
    return operands, attrs, filled[0]


@DESCRIPTION.register("dero.concat")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    shape = data.signature.output.shape
    if None in data.operands:
        raise no_counterpart(name, data, " with a constant")
    tensors = description.operands(name, data)
    sources = tuple(tensor.source for tensor in tensors)
    channels = description.channel_axis(tensors[0], len(shape))
    if (
        data.signature["axis"] % len(shape) != channels
        or len({*map(len, map(description.shape, sources))}) > 1
    ):
        raise no_counterpart(name, data, " that is not one of channels")
    shape = (*description.shape(sources[0])[:-1], shape[channels])
    return replace(tensors[0], source=description.add(Concat(name, sources, shape)).source)
