"""An address for every block: placed one by one at the lowest that is free.

The order in which blocks are placed decides.  A few regular orders are tried; then blocks that
ended up above the most bytes alive, which is where they all would fit at best, move forward in
the order and everything is placed anew (squeaky wheel optimization, Joslin and Clements 1999).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..budget import Budget
from .lives import Block, Lives

COMPARISONS_PER_SECOND = 120_000_000
_COMPARISONS_OF_A_BLOCK = 1_000  # what placing one costs besides
_PATIENCE = 40  # placements without a lower one, after which the search ends
_SHARE = 0.1  # of the time limit
_SEED = 0


@dataclass(frozen=True)
class Placed:
    """The address of each block and the bytes that all take."""

    offsets: tuple[int, ...]
    height: int


def place_rows(lives: Lives, unit: int, budget: Budget) -> Placed:
    """The lowest placement found; every address is a multiple of `unit` and of its own alignment.

    Ends as soon as one takes no more than the most bytes alive.
    """
    return _Search(lives, unit, Budget(_SHARE * budget.seconds)).run()


class _Search:
    def __init__(self, lives: Lives, unit: int, budget: Budget) -> None:
        self.blocks = lives.blocks
        self.goal = lives.peak
        self.unit = unit
        self.budget = budget
        self.best = Placed((), 0)
        self.turns: list[int] = []  # the order that led to the best

    def run(self) -> Placed:
        if not self.blocks:
            return self.best
        for number, turns in enumerate(_regular_orders(self.blocks)):
            placed = self._place(turns)
            if number == 0 or placed.height < self.best.height:
                self.best, self.turns = placed, turns
            if self.is_done:
                return self.best
        self._improve()
        return self.best

    @property
    def is_done(self) -> bool:
        """Whether nothing lower exists, or may be looked for."""
        return self.best.height <= self.goal or self.budget.expired()

    def _improve(self) -> None:
        generator = random.Random(_SEED)
        current, turns, vain = self.best, self.turns, 0
        while vain < _PATIENCE and not self.is_done:
            turn = {block: float(position) for position, block in enumerate(turns)}
            for block in turns:
                if current.offsets[block] + self.blocks[block].bytes > self.goal:
                    step = generator.choice((0.1, 0.5, 1.0)) * generator.random()
                    turn[block] -= step * turn[block]
            other = sorted(turns, key=turn.__getitem__)
            placed = self._place(other)
            if placed.height <= current.height:
                current, turns = placed, other
            vain += 1
            if placed.height < self.best.height:
                self.best, vain = placed, 0

    def _place(self, turns: Sequence[int]) -> Placed:
        count = len(self.blocks)
        cost = count * (count + _COMPARISONS_OF_A_BLOCK)
        self.budget.spend(cost, COMPARISONS_PER_SECOND)
        return _in_turn(self.blocks, turns, self.unit)


def _regular_orders(blocks: Sequence[Block]) -> list[list[int]]:
    """Sequences of rows first, which others have to go around; then by size, area and life."""
    largest = [max(r.size for r in block.rectangles) for block in blocks]
    spans = [block.end - block.start for block in blocks]
    keys: list[Callable[[int], tuple]] = [
        lambda i: (-largest[i], blocks[i].start),
        lambda i: (-spans[i] * largest[i], blocks[i].start),
        lambda i: (blocks[i].start, -spans[i]),
    ]
    return [
        sorted(range(len(blocks)), key=lambda i: (len(blocks[i].rectangles) == 1, *key(i)))
        for key in keys
    ]


def _in_turn(blocks: Sequence[Block], turns: Sequence[int], unit: int) -> Placed:
    """Each block at its lowest free address."""
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
        for r in block.rectangles:
            start[placed], end[placed] = r.start, r.end
            low[placed], high[placed] = address + r.offset, address + r.offset + r.size
            placed += 1
    return Placed(tuple(offsets), height)
