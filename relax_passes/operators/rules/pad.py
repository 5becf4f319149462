"""Padding.

- constants: by nothing, an identity;
- layout: along the axes where they lie;
- moves: with elements of the tensor; with a constant, see `moves.pads_with_constant`;
- selection: with a constant, `dero.pad`;
- element sums: with a constant;
- channel selection: around pixels.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import FOLLOWS, LAYOUT, LayoutRewriter, always_follows
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import IDENTITIES
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always, pad_value
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader, changes_pixels
from ...canonicalization.select_operators import SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of, shape_of
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from .registry import Refusal

IDENTITIES.register("relax.nn.pad")(always)


@LAYOUT.register("relax.nn.pad")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, order = rewriter.regular(call.args[0])
    width = [int(w) for w in call.attrs.pad_width]
    moved = [w for axis in order for w in width[2 * axis : 2 * axis + 2]]
    new = relax.op.nn.pad(data, moved, call.attrs.pad_mode, call.attrs.pad_value)
    return rewriter.keep(var, new, Layout.permuted(shape_of(call), order))


FOLLOWS.register("relax.nn.pad")(always_follows)


@MOVES.register("relax.nn.pad")
def _is_move(call: Any) -> bool:
    return call.attrs.pad_mode in ("reflect", "replicate")


@SELECTION.register("relax.nn.pad")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    width = [int(w) for w in a.pad_width]
    if a.pad_mode != "constant":
        raise Refusal(f"it pads with its own elements ({a.pad_mode})")
    if min(width) < 0:
        raise Refusal(f"it pads by {min(width)}")
    value = pad_value(call)
    return rewriter.dero(
        "pad",
        [rewriter.new(call.args[0])],
        pad_before=tuple(width[0::2]),
        pad_after=tuple(width[1::2]),
        value=value if dtype_of(call) == "float32" else int(value),
    )


@READERS.register("relax.nn.pad")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    width = [int(w) for w in call.attrs.pad_width]
    if call.attrs.pad_mode != "constant" or min(width) < 0:
        raise NotLinear("is padded with something else than a constant")
    value = pad_value(call)
    return reader.value(call.args[0]).padded(list(zip(width[0::2], width[1::2])), value)


UNUSUAL.register("relax.nn.pad")(changes_pixels)


@NARROWING.register("dero.pad")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    if attrs["pad_before"][-1] or attrs["pad_after"][-1]:
        raise CannotNarrow("channels are padded")
    return operands, attrs, kept[0]
