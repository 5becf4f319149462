"""The room that the tensors in sequence leave to rows that lie anywhere, call by call.

The rows of an array that is read from first to last die from its lower end on.  At the arena's top,
what they leave joins what is free below; an array that is written lies at the bottom likewise:

    address
      ^- - - - - - - - - - - - - - - limit
      |  array of   |      |
      |  the input  +---   +-----      ceiling
      |      +------+
      |   ...         rows that lie anywhere
      |         +-----------------     floor
      |   +-----+  array of the output
      +-----------------------------> calls
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .lives import Block


@dataclass(frozen=True)
class Room:
    """Bytes between which blocks may lie during each call, beside those that have `addresses`.

    `addresses` are by number of the block.
    """

    floor: np.ndarray
    ceiling: np.ndarray
    addresses: dict[int, int]


def room_beside_sequences(blocks: Sequence[Block], calls: int, unit: int, limit: int) -> Room:
    """The room within `limit` bytes if one or two tensors in sequence lie at the arena's ends.

    They are the largest of which rows come and go; with two, each lies where that leaves more.
    """
    staircases = [number for number, block in enumerate(blocks) if len(block.rectangles) > 1]
    staircases.sort(key=lambda number: (-blocks[number].bytes, number))
    ways = []
    for pair in (staircases[:2], staircases[1::-1]):
        upper, lower = (*pair, None, None)[:2]
        ways.append(_room(blocks, calls, unit, limit, upper, lower))
        if len(pair) == 1:
            ways.append(_room(blocks, calls, unit, limit, None, upper))
    return max(ways, key=lambda room: int((room.ceiling - room.floor).sum()))


def _room(
    blocks: Sequence[Block], calls: int, unit: int, limit: int, upper: int | None, lower: int | None
) -> Room:
    floor, ceiling = np.zeros(calls, np.int64), np.full(calls, limit, np.int64)
    addresses = {}
    if upper is not None:
        block = blocks[upper]
        alignment = max(unit, block.alignment)
        addresses[upper] = address = (limit - block.bytes) // alignment * alignment
        for part in block.rectangles:
            during = ceiling[part.start : part.end]
            np.minimum(during, address + part.offset, out=during)
    if lower is not None:
        addresses[lower] = 0
        for part in blocks[lower].rectangles:
            during = floor[part.start : part.end]
            np.maximum(during, part.offset + part.size, out=during)
    return Room(floor, ceiling, addresses)
