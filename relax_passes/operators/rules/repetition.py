"""Copies: broadcasts, tiles, repeats, flips.

- constants: broadcast; to the same shape, an identity;
- moves: always;
- element sums: broadcasts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...canonicalization.element_sums import ElementSum
from ...canonicalization.fold_constants import CONSTANT_MOVES, IDENTITIES
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, RegionReader
from ...ir.dataflow import shape_of

MOVES.register("relax.broadcast_to", "relax.tile", "relax.repeat", "relax.flip")(always)


CONSTANT_MOVES.register("relax.broadcast_to")(
    lambda call, value: value.moved(lambda array: np.broadcast_to(array, shape_of(call)))
)
IDENTITIES.register("relax.broadcast_to")(always)


@READERS.register("relax.broadcast_to")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    shape = shape_of(call)
    return reader.value(call.args[0]).moved(lambda a: np.broadcast_to(a, shape))
