"""Placement of rows within a limit by the exact search for buffers, where every block is one row.

Rows live for a few calls each, so what is decided about one hardly touches those of calls far away.
The search therefore asks about the first of the moments that have equally few answers: where it
goes wrong, it finds that out before it has placed the rows of other calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from ..budget import Budget
from ..packing import Packing
from ..skyline import LARGEST, search
from ..strategies import strategies
from .lives import Block

_TRIES = 2
_NODES = 500  # of one try


def place_exactly(
    blocks: Sequence[Block], unit: int, limit: int, budget: Budget
) -> list[int] | None:
    """Addresses, multiples of `unit`, that keep to `limit`.

    None if none are found, or some block is not a single row.
    """
    if len(blocks) > LARGEST or any(len(block.rectangles) > 1 for block in blocks):
        return None
    rows = [block.rectangles[0] for block in blocks]
    packing = Packing(
        tuple(row.size for row in rows),
        tuple(row.start for row in rows),
        tuple(row.end for row in rows),
        tuple(max(unit, block.alignment) for block in blocks),
    )
    for strategy in islice(strategies(packing), _TRIES):
        result = search(packing, limit, budget, _NODES, replace(strategy, tie="first"))
        if result.offsets is not None or result.proven:
            return result.offsets
    return None
