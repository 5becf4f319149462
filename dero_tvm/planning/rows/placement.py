"""An address for every block: placed one by one at the lowest that is free, in several orders."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..budget import Budget
from .lives import Block, Lives

COMPARISONS_PER_SECOND = 30_000_000
_MIXTURES = 24  # random orders that are tried behind the regular ones
_SEED = 0


@dataclass(frozen=True)
class Placed:
    """The address of each block and the bytes that all take."""

    offsets: tuple[int, ...]
    height: int


def place_rows(lives: Lives, unit: int, budget: Budget, first: Placed | None = None) -> Placed:
    """The lowest placement found; every address is a multiple of `unit` and the block's own.

    Ends as soon as one takes no more than the most bytes alive, or when the budget is spent.
    """
    best = first
    for turns in _orders(lives.blocks):
        placed = _in_turn(lives.blocks, turns, unit, best.height if best else None)
        if placed is not None and (best is None or placed.height < best.height):
            best = placed
        assert best is not None
        if best.height <= lives.peak:
            break
        budget.spend(len(lives.blocks) ** 2, COMPARISONS_PER_SECOND)
        if budget.expired():
            break
    return best if best is not None else Placed((), 0)


def _orders(blocks: Sequence[Block]) -> Iterable[list[int]]:
    """Orders in which blocks are placed: sequences first, they are what others go around."""
    largest = [max(r.size for r in block.rectangles) for block in blocks]
    spans = [block.end - block.start for block in blocks]
    keys: list[Callable[[int], tuple]] = [
        lambda i: (-largest[i], blocks[i].start),
        lambda i: (-spans[i] * largest[i], blocks[i].start),
        lambda i: (blocks[i].start, -spans[i]),
        lambda i: (-spans[i], -largest[i]),
        lambda i: (blocks[i].end, -largest[i]),
    ]
    generator = random.Random(_SEED)
    for _ in range(_MIXTURES):
        share = generator.random()
        weights = [
            spans[i] ** share * largest[i] ** (1 - share) * generator.uniform(0.8, 1.25)
            for i in range(len(blocks))
        ]
        keys.append(partial(_heaviest_first, weights))
    for key in keys:
        yield sorted(range(len(blocks)), key=lambda i: (len(blocks[i].rectangles) == 1, *key(i)))


def _heaviest_first(weights: Sequence[float], index: int) -> tuple:
    return (-weights[index],)


def _in_turn(
    blocks: Sequence[Block], turns: Sequence[int], unit: int, limit: int | None
) -> Placed | None:
    """Each block at its lowest free address; None if that does not stay below `limit`."""
    count = sum(len(block.rectangles) for block in blocks)
    start, end, low, high = (np.zeros(count, np.int64) for _ in range(4))
    placed = 0
    offsets = [0] * len(blocks)
    height = 0
    for index in turns:
        block = blocks[index]
        alignment = max(unit, block.alignment)
        forbidden = []
        for r in block.rectangles:
            meets = (start[:placed] < r.end) & (end[:placed] > r.start)
            if meets.any():
                lows = low[:placed][meets] - r.size - r.offset
                highs = high[:placed][meets] - r.offset
                forbidden.append((lows, highs))
        address = 0
        if forbidden:
            lows = np.concatenate([pair[0] for pair in forbidden])
            highs = np.concatenate([pair[1] for pair in forbidden])
            turn = np.argsort(lows, kind="stable")
            for below, above in zip(lows[turn].tolist(), highs[turn].tolist()):
                if address <= below:
                    break
                if above > address:
                    address = -(-above // alignment) * alignment
        offsets[index] = address
        height = max(height, address + block.bytes)
        if limit is not None and height >= limit:
            return None
        for r in block.rectangles:
            start[placed], end[placed] = r.start, r.end
            low[placed], high[placed] = address + r.offset, address + r.offset + r.size
            placed += 1
    return Placed(tuple(offsets), height)
