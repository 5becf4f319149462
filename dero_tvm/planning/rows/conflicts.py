"""Which blocks are alive together, and how far apart they then have to lie.

A block's rows come and go, so that two blocks may have to keep apart in several ranges of distances
between their addresses: one from each two rectangles that are alive together.  Counted is one range
that holds them all.  Nothing is lost by that where the rows of a sequence are made and read in
turn, for those that are alive at any time then lie side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from .lives import Block

MOST_PAIRS = 1_000_000  # that are looked at


@dataclass(frozen=True)
class Conflicts:
    """Blocks as `ejection` takes them.

    `neighbours` has for each block every other alive at the same time, with the least distance of
    their addresses if it lies above, and if it lies below.  All are multiples of `unit`.
    """

    sizes: Sequence[int]
    alignments: Sequence[int]
    neighbours: Sequence[Sequence[tuple[int, int, int]]]
    unit: int

    def __len__(self) -> int:
        return len(self.sizes)


def conflicts_of(blocks: Sequence[Block], unit: int) -> Conflicts | None:
    """The conflicts of `blocks` at multiples of `unit` bytes; None if there are too many pairs."""
    if _pairs_alive_together(blocks) > MOST_PAIRS:
        return None
    near: list[dict[int, tuple[int, int]]] = [{} for _ in blocks]
    parts = [
        (r.start, r.end, r.offset, r.size, i) for i, b in enumerate(blocks) for r in b.rectangles
    ]
    parts.sort()
    alive: list[tuple[int, int, int, int, int]] = []
    for part in parts:
        start, _, offset, size, block = part
        alive = [other for other in alive if other[1] > start]
        for _, _, its_offset, its_size, other in alive:
            if other != block:
                above, below = offset + size - its_offset, its_offset + its_size - offset
                if other in near[block]:
                    known = near[block][other]
                    above, below = max(above, known[0]), max(below, known[1])
                near[block][other], near[other][block] = (above, below), (below, above)
        alive.append(part)
    alignments = [max(unit, block.alignment) for block in blocks]
    return Conflicts(
        [block.bytes for block in blocks],
        alignments,
        [[(other, *gaps) for other, gaps in others.items()] for others in near],
        gcd(*alignments, *(n for _, _, offset, size, _ in parts for n in (offset, size))),
    )


def _pairs_alive_together(blocks: Sequence[Block]) -> int:
    """How many pairs of rectangles share a call, those of one block included."""
    rectangles = [rectangle for block in blocks for rectangle in block.rectangles]
    starts = np.sort([rectangle.start for rectangle in rectangles])
    ends = np.sort([rectangle.end for rectangle in rectangles])
    # Of those that start no later, each meets all that have not ended.
    ended = np.searchsorted(ends, starts, side="right")
    return int((np.arange(len(starts)) - ended).sum())
