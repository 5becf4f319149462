"""An address for every block: placed one by one at the lowest that is free.

The order in which blocks are placed decides.  Regular orders are tried first.  Where they all leave
a gap to the most bytes alive, which is what the blocks need at best, the search call by call asks
for a placement within these.  If it finds none, blocks that ended up above them move forward in the
order and everything is placed anew (squeaky wheel optimization, Joslin and Clements 1999), and at
last blocks are placed within lower and lower limits, call by call and by ejection.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import add

import numpy as np

from ..budget import Budget
from ..ejection import eject
from .conflicts import conflicts_of
from .exact_placement import place_exactly
from .layout_search import place_call_by_call
from .lives import Block, Lives
from .middle_search import place_from_the_middle

COMPARISONS_PER_SECOND = 120_000_000
_COMPARISONS_OF_A_BLOCK = 1_000  # what placing one costs besides
_PATIENCE = 60  # placements without a lower one, after which the search ends
_SHARE = 0.1  # of the time limit
_MOVES = (300, 2_000, 2_000, 2_000, 2_000, 2_000)  # of ejection within each limit, twice
_CALL_BY_CALL = 0.6  # of the budget for more search
_IN_VAIN = 0.25  # the part of that after which it is given up if nothing was found
_HALVINGS = 5  # of what is between the most bytes alive and the best placement
_FINE = 1_000  # less than one part of so many is not looked for limit by limit
_LIMITS = 8  # that are tried from the most bytes alive upwards
_SEED = 0


@dataclass(frozen=True)
class Placed:
    """The address of each block, the bytes that all take, and in which order they were placed."""

    offsets: tuple[int, ...]
    height: int
    turns: Sequence[int]


def place_rows(lives: Lives, unit: int, budget: Budget) -> Placed:
    """The lowest placement in regular orders.

    Every address is a multiple of `unit` and of its own alignment.  Ends as soon as a placement
    takes no more than the most bytes alive.
    """
    return _Search(lives, unit, budget).run()


def is_worth_a_search(height: float, least: int) -> bool:
    """Whether a placement of `height` bytes is so far above `least` that more search may pay."""
    return (height - least) * _FINE > least


def fitted(
    lives: Lives, unit: int, turns: Sequence[int], limit: int, budget: Budget
) -> Placed | None:
    """A placement within `limit` bytes, looked for call by call in both directions."""
    for backwards in (False, True):
        found = place_call_by_call(
            lives.blocks, lives.calls, unit, limit, budget, backwards=backwards
        )
        if found is not None:
            height = max(map(add, found, (block.bytes for block in lives.blocks)), default=0)
            return Placed(tuple(found), height, turns)
    return None


def with_scratch_on_top(lives: Lives) -> int:
    """Bytes that are enough for the most that is alive and, above it, what comes and goes.

    That is the scratch of kernels.  It has one address, and within the most bytes alive, rows that
    are there all the time would have to lie around it.
    """
    height = lives.peak
    for block in lives.blocks:
        if len(block.rectangles) > 1 and not any(r.offset for r in block.rectangles):
            height = -(-height // block.alignment) * block.alignment + block.bytes
    return height


def fitted_from_the_middle(
    lives: Lives, unit: int, turns: Sequence[int], budget: Budget
) -> Placed | None:
    """A placement within the most bytes alive, looked for from a call with so many to both ends."""
    found = place_from_the_middle(lives.blocks, lives.calls, unit, lives.peak, budget)
    return None if found is None else Placed(tuple(found), lives.peak, turns)


def lowered(lives: Lives, unit: int, placed: Placed, below: float, budget: Budget) -> Placed | None:
    """A placement of less than `below` bytes by more search, on which `budget` is spent at most.

    `placed` is one in which the blocks were placed in a good order, and `fitted` has found none.
    """
    exact = place_exactly(lives.blocks, unit, lives.peak, budget)
    if exact is not None:
        return Placed(tuple(exact), lives.peak, placed.turns)
    in_sequence = any(len(block.rectangles) > 1 for block in lives.blocks)
    found = None
    if in_sequence:  # call by call, rows keep out of what sequences span
        placed = _improved(lives, unit, placed, budget)
    if placed.height < below:
        found, below = placed, placed.height
    better = _call_by_call(lives, unit, placed, below, budget)
    if better is not None:
        return better
    if not in_sequence:
        placed = _improved(lives, unit, placed, budget)
        if placed.height < below:
            found, below = placed, placed.height
    return _ejected(lives, unit, placed, below, budget) or found


def _call_by_call(
    lives: Lives, unit: int, placed: Placed, below: float, budget: Budget
) -> Placed | None:
    """Less than `below` bytes, the more seldom the lower a limit, but not always."""
    budget_of_all = budget
    budget = Budget(min(_CALL_BY_CALL * budget.seconds, budget.seconds - budget.spent))
    best, height = None, int(min(below, placed.height))
    tried: set[int] = {lives.peak}
    # Sizes of rows have a power of two in common; a limit between its multiples is none at all.
    grain = max(unit, 1 << (max(lives.peak // (2 * _FINE), 1).bit_length() - 1))

    def within(limit: int) -> bool:
        nonlocal best, height
        limit -= limit % grain
        hopeless = best is None and budget.spent > _IN_VAIN * budget.seconds
        if limit in tried or not lives.peak <= limit < height or hopeless or budget.expired():
            return False
        tried.add(limit)
        found = place_call_by_call(lives.blocks, lives.calls, unit, limit, budget)
        if found is not None:
            height = max(map(add, found, (block.bytes for block in lives.blocks)))
            best = Placed(tuple(found), height, placed.turns)
        return found is not None

    floor = lives.peak
    for _ in range(_HALVINGS):
        if not is_worth_a_search(height, floor):
            break
        middle = (floor + height) // 2
        if not within(middle):
            floor = middle
    span = height - lives.peak
    any(within(lives.peak + span * part // _LIMITS) for part in range(1, _LIMITS))
    budget_of_all.spent += budget.spent
    return best


def _improved(lives: Lives, unit: int, placed: Placed, budget: Budget) -> Placed:
    """The lowest placement in orders like that of `placed`, or `placed` itself."""
    search = _Search(lives, unit, budget)
    search.best = placed
    search.improve()
    return search.best


def _ejected(
    lives: Lives, unit: int, placed: Placed, below: float, budget: Budget
) -> Placed | None:
    """Less than `below` bytes by ejection, halving what is between that and the most alive."""
    conflicts = None if budget.expired() else conflicts_of(lives.blocks, unit)
    if conflicts is None:
        return None
    found, height = None, int(min(below, placed.height))
    floor = limit = lives.peak
    starts = (sorted(range(len(conflicts)), key=next(_keys(lives))), placed.turns)
    for moves in _MOVES:
        tries = (eject(conflicts, limit, turns, budget, moves) for turns in starts)
        addresses = next((offsets for offsets in tries if offsets is not None), None)
        if addresses is None:
            floor = limit
        else:
            height = max(map(add, addresses, conflicts.sizes))
            found = Placed(tuple(addresses), height, placed.turns)
        limit = (floor + height) // 2 // conflicts.unit * conflicts.unit
        if not floor < limit < height or budget.expired():
            break
    return found


class _Search:
    def __init__(self, lives: Lives, unit: int, budget: Budget) -> None:
        self.lives = lives
        self.blocks = lives.blocks
        self.goal = lives.peak
        self.unit = unit
        self.budget = Budget(min(_SHARE * budget.seconds, budget.seconds - budget.spent))
        self.best = Placed((), 0, ())

    def run(self) -> Placed:
        if not self.blocks:
            return self.best
        for number, turns in enumerate(_regular_orders(self.lives)):
            placed = self._place(turns)
            if number == 0 or placed.height < self.best.height:
                self.best = placed
            if self.is_done:
                break
        return self.best

    @property
    def is_done(self) -> bool:
        """Whether nothing lower exists, or may be looked for."""
        return self.best.height <= self.goal or self.budget.expired()

    def improve(self) -> None:
        """Let blocks that reach too high go first, as long as that helps."""
        generator = random.Random(_SEED)
        current, vain = self.best, 0
        while vain < _PATIENCE and not self.is_done:
            low = current.height - (current.height - self.goal) * generator.random()
            turn = {block: float(position) for position, block in enumerate(current.turns)}
            for block in turn:
                if current.offsets[block] + self.blocks[block].bytes > low:
                    turn[block] *= 1.0 - generator.choice((0.1, 0.5, 1.0)) * generator.random()
            placed = self._place(sorted(turn, key=turn.__getitem__))
            if placed.height <= current.height:
                current = placed
            vain += 1
            if placed.height < self.best.height:
                self.best, vain = placed, 0

    def _place(self, turns: Sequence[int]) -> Placed:
        count = len(self.blocks)
        cost = count * (count + _COMPARISONS_OF_A_BLOCK)
        self.budget.spend(cost, COMPARISONS_PER_SECOND)
        return _in_turn(self.blocks, turns, self.unit)


def _regular_orders(lives: Lives) -> Iterator[list[int]]:
    """Those of `_keys`, also with sequences first.

    Others have to go around the rows of a sequence, which are a staircase.
    """
    staircase = [len(block.rectangles) > 1 for block in lives.blocks]
    for key in _keys(lives):
        turns = sorted(range(len(staircase)), key=key)
        yield turns
        if any(staircase):
            yield sorted(turns, key=lambda i: not staircase[i])


def _keys(lives: Lives) -> Iterator[Callable[[int], tuple]]:
    """By size, by the most that is alive beside a block, by time."""
    blocks, live = lives.blocks, lives.live_bytes
    size = [max(r.size for r in block.rectangles) for block in blocks]
    start = [block.start for block in blocks]
    end = [block.end for block in blocks]
    load = [int(live[block.start : block.end].max()) for block in blocks]
    yield from (
        lambda i: (-size[i], start[i]),
        lambda i: (-size[i], -end[i]),
        lambda i: (-load[i], -size[i], start[i]),
        lambda i: (-load[i], start[i] - end[i]),
        lambda i: (-load[i], start[i]),
        lambda i: (start[i] - end[i], -size[i]),
        lambda i: (start[i], -end[i]),
    )


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
            turn = np.argsort(lows)
            # Where the block may lie lowest if it lies before each interval, or behind all.
            lowest = np.zeros(len(turn) + 1, np.int64)
            np.maximum.accumulate(highs[turn], out=lowest[1:])
            np.maximum(lowest, 0, out=lowest)
            lowest = -(-lowest // alignment) * alignment
            fits = lowest[:-1] <= lows[turn]
            address = int(lowest[fits.argmax() if fits.any() else -1])
        offsets[index] = address
        height = max(height, address + block.bytes)
        for r in block.rectangles:
            start[placed], end[placed] = r.start, r.end
            low[placed], high[placed] = address + r.offset, address + r.offset + r.size
            placed += 1
    return Placed(tuple(offsets), height, turns)
