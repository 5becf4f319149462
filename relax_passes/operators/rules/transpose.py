"""Transposes.

- constants: moved; the same order is an identity;
- layout: other names for the same memory;
- moves: always;
- selection: `dero.transpose`;
- element sums: always;
- channel selection: where channels stay last;
- the network's description: an image channels-first or channels-last.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import CONSTANT_MOVES, IDENTITIES, permutation
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept
from ...reorganization.layout_transpose import TO_NCHW, TO_NHWC
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from .. import Signature
from ..arg_extreme import INDEX_TYPES

CONSTANT_MOVES.register("relax.permute_dims")(
    lambda call, value: value.transpose(permutation(call))
)


@IDENTITIES.register("relax.permute_dims")
def _moves_nothing(call: Any) -> bool:
    return permutation(call) == tuple(range(len(shape_of(call))))


@LAYOUT.register("relax.permute_dims")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data = call.args[0]
    layout = rewriter.layout(data).transposed(permutation(call))
    return rewriter.keep(var, rewriter.stored(data), layout)


MOVES.register("relax.permute_dims")(always)


MORE_TYPES.register("relax.permute_dims")(INDEX_TYPES)


@SELECTION.register("relax.permute_dims")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    return rewriter.dero("transpose", [rewriter.new(call.args[0])], axes=permutation(call))


@READERS.register("relax.permute_dims")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    axes = permutation(call)
    return reader.value(call.args[0]).moved(lambda a: a.transpose(axes))


@NARROWING.register("dero.transpose")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    rank = len(signature.inputs[0].shape)
    if attrs["axes"][-1] % rank != rank - 1:
        raise CannotNarrow("a transpose moves the channels (channel shuffle)")
    return operands, attrs, kept[0]


@DESCRIPTION.register("dero.transpose")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    (tensor,) = description.operands(name, data)
    axes = data.signature["axes"]
    if axes == (TO_NHWC if tensor.channels_first else TO_NCHW):
        return DescribedTensor(tensor.source, not tensor.channels_first)
    (operand,) = data.computed_operands
    moved = description.elements(operand).transpose(axes)
    seen = description.seen(tensor.source, moved, data.spec.shape)
    if seen is None:
        raise no_counterpart(name, data, f" with the axes {axes}")
    return seen
