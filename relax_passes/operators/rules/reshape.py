"""Reshapes.

- spelling: squeezes, flattenings and new axes are reshapes;
- constants: moved; the same shape is an identity;
- layout: other names for the same memory, unless a new axis straddles the border of an old one;
- moves: always;
- selection: `dero.reshape`;
- element sums: always;
- channel selection: where channels stay side by side;
- the network's description: a flattening; with a transpose of pixels after it, a shuffle.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import CONSTANT_MOVES, IDENTITIES
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept, the_kept
from ...reorganization.description import Flatten, Shuffle
from ...reorganization.kept_operators import image_operand
from ...reorganization.layout_transpose import TO_NCHW, TO_NHWC, is_transpose
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from .. import Signature
from ..arg_extreme import INDEX_TYPES
from .registry import Refusal

_OTHER_NAMES = (
    *("relax.squeeze", "relax.expand_dims"),
    *("relax.flatten", "relax.nn.batch_flatten"),
)


@SPELLINGS.register(*_OTHER_NAMES)
def _reshape_only(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    return relax.op.reshape(rewriter.new(call.args[0]), shape_of(call))


CONSTANT_MOVES.register("relax.reshape", *_OTHER_NAMES)(
    lambda call, value: value.reshape(shape_of(call))
)
IDENTITIES.register("relax.reshape")(always)


@LAYOUT.register("relax.reshape")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data = call.args[0]
    layout = rewriter.layout(data).reshaped(shape_of(call))
    if layout is None:
        old, new = shape_of(data), shape_of(call)
        raise Refusal(f"its axes {list(new)} straddle those of {list(old)} as they lie in memory")
    return rewriter.keep(var, rewriter.stored(data), layout)


MOVES.register("relax.reshape")(always)


MORE_TYPES.register("relax.reshape")((*INDEX_TYPES, "bool"))


@SELECTION.register("relax.reshape")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    return rewriter.dero("reshape", [rewriter.new(call.args[0])], shape=shape_of(call))


@READERS.register("relax.reshape")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    shape = shape_of(call)
    return reader.value(call.args[0]).moved(lambda a: a.reshape(shape))


@NARROWING.register("dero.reshape")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    channels, shape = signature.inputs[0].channels, signature.output.shape
    if not shape or shape[-1] % channels:
        raise CannotNarrow("a reshape splits the channels (channel shuffle)")
    pixels = shape[-1] // channels  # so many pixels lie side by side in the new last axis
    result = (np.arange(pixels)[:, None] * channels + the_kept(kept)).ravel()
    return operands, attrs | {"shape": (*shape[:-1], len(result))}, result


@DESCRIPTION.register("dero.reshape")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    (tensor,) = description.operands(name, data)
    shape = data.signature.output.shape
    old = description.shape(tensor.source)
    if len(old) == 3 and is_transpose(data, TO_NHWC if tensor.channels_first else TO_NCHW):
        return DescribedTensor(tensor.source, not tensor.channels_first)
    if shape == data.signature.inputs[0].shape:
        return tensor
    if len(old) == 3 and shape == (1, *old) and min(prod(old[:2]), old[2]) == 1:
        return DescribedTensor(tensor.source)  # of one axis: a sequence of one channel, perhaps
    if (shuffled := _shuffled(description, name, data)) is not None:
        return shuffled
    if len(old) == 3 and prod(shape) != max(shape):
        return tensor  # the same image, seen otherwise: its elements stay in their order
    if shape[0] != 1 or prod(shape) != max(shape):  # more than one axis that is not 1
        raise no_counterpart(name, data, f" to {shape}")
    if len(old) == 1:  # (1, C), (1, 1, 1, C), (1, C, 1, 1): the same vector
        return description.vector(tensor.source, shape)
    size = prod(data.signature.inputs[0].shape)
    return description.add(Flatten(name, (tensor.source,), (size,), tensor.channels_first))


def _shuffled(description: PartialDescription, name: str, data: Node) -> DescribedTensor | None:
    """An image whose pixels are made matrices, transposed, and made an image again; or None."""
    pixels = data.spec.shape
    readers = list(description.graph.digraph.successors(name))
    swap = description.graph[readers[0]] if len(readers) == 1 else data
    after = list(description.graph.digraph.successors(readers[0])) if readers else []
    last = description.graph[after[0]] if len(after) == 1 else data
    old = data.signature.inputs[0].shape
    if (
        len(old) != 4
        or len(pixels) != 3
        or pixels[0] != prod(old[:3])
        or swap.operator != "dero.transpose"
        or swap.signature["axes"] != (0, 2, 1)
        or last.operator != "dero.reshape"
        or last.spec.shape != old
    ):
        return None
    source = image_operand(description, name, data)
    tensor = description.add(Shuffle(name, (source,), old[1:], pixels[1]))
    description.tensors |= dict.fromkeys((readers[0], after[0]), tensor)
    return tensor
