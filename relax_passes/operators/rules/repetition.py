"""Copies: broadcasts, tiles, repeats, flips.

- spelling: what is broadcast for arithmetic alone, which broadcasts itself, stays as it is;
- constants: broadcast; to the same shape, an identity;
- moves: always;
- element sums: broadcasts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import CONSTANT_MOVES, IDENTITIES
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...ir.dataflow import is_call, shape_of

_BROADCASTING = tuple(
    f"relax.{name}"
    for name in ("add", "divide", "maximum", "minimum", "multiply", "power", "subtract")
)


@SPELLINGS.register("relax.broadcast_to")
def _for_arithmetic(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Its operand, if every reader has another operand of the whole shape."""
    copy = rewriter.variable
    for reader in rewriter.old.readers.get(copy, [None]):
        arithmetic: Any = rewriter.old.definition(reader) if reader is not None else None
        if not is_call(arithmetic, *_BROADCASTING):
            return None
        others = [shape_of(arg) for arg in arithmetic.args if not arg.same_as(copy)]
        if shape_of(arithmetic) not in others:
            return None
    return rewriter.new(call.args[0])


MOVES.register("relax.broadcast_to", "relax.tile", "relax.repeat", "relax.flip")(always)


CONSTANT_MOVES.register("relax.broadcast_to")(
    lambda call, value: value.moved(lambda array: np.broadcast_to(array, shape_of(call)))
)
IDENTITIES.register("relax.broadcast_to")(always)


@READERS.register("relax.broadcast_to")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    shape = shape_of(call)
    return reader.value(call.args[0]).moved(lambda a: np.broadcast_to(a, shape))
