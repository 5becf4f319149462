"""Placement of rows within a limit, call by call, with many layouts side by side (a beam search).

A layout says where everything lies that is alive during a call.  What comes behind it depends on
that alone, so of all ways to the same layout one is kept.  Each block is put at either end of every
gap that holds it, and of the layouts that this gives the cheapest are kept, if those that are born
later still find room (`look_ahead`); of those that are alike, one before others are considered.
Neighbours that die one after the other are cheap: what they leave is one gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from ..budget import Budget
from .fingerprints import mixed, total
from .lives import Block, Rectangle
from .look_ahead import Judgement, Layouts, LookAhead
from .room import room_beside_sequences

ENTRIES_PER_SECOND = 8_000_000  # blocks of layouts that are looked at
_ENTRIES_OF_A_STEP = 3_000  # what placing a block costs besides
_WIDTH = 60  # layouts that are kept
_NEIGHBOURS = 10  # what it costs for each call that one of two neighbours outlives the other
_CHANCE = 50  # what chance adds to the cost at most
_SEED = 0
_MOST_UNITS = 1 << 17  # of a limit; tables are as long


def place_call_by_call(
    blocks: Sequence[Block],
    calls: int,
    unit: int,
    limit: int,
    budget: Budget,
    *,
    backwards: bool = False,
) -> list[int] | None:
    """Addresses, multiples of `unit`, that keep to `limit`; None if none are found.

    `backwards` begins with the last call, which may be what it takes.  The largest tensors in
    sequence lie at the arena's ends; what others leave as their rows come and go is not used.
    """
    if backwards:
        blocks = [turned(block, calls) for block in blocks]
    task = task_of(blocks, calls, unit, limit)
    if task is None:
        return None
    found = LayoutSearch(task).run(budget)
    return None if found is None else task.offsets(found)


@dataclass(frozen=True)
class Task:
    """What is to be placed, in units of which every size, address and distance is a multiple.

    Item i is block ``numbers[i]``, alive from call ``starts[i]`` to before ``ends[i]``; blocks with
    `addresses`, in bytes, lie at the arena's ends.  Between `floor` and `ceiling` there is room.
    """

    numbers: Sequence[int]
    starts: np.ndarray
    ends: np.ndarray
    sizes: np.ndarray
    alignments: Sequence[int]
    floor: np.ndarray
    ceiling: np.ndarray
    measure: int  # bytes of a unit
    addresses: dict[int, int]

    def offsets(self, found: Sequence[int]) -> list[int]:
        """The addresses of all blocks in bytes, from those of the items."""
        offsets = dict(self.addresses)
        offsets |= {n: self.measure * at for n, at in zip(self.numbers, found, strict=True)}
        return [offsets[number] for number in range(len(offsets))]


def task_of(blocks: Sequence[Block], calls: int, unit: int, limit: int) -> Task | None:
    """`blocks` within `limit`, at multiples of `unit`; None if they have no room for certain."""
    room = room_beside_sequences(blocks, calls, unit, limit)
    if (room.floor > room.ceiling).any():  # the two at the ends reach into each other
        return None
    numbers = [number for number in range(len(blocks)) if number not in room.addresses]
    items = [blocks[number] for number in numbers]
    alignments = [max(unit, block.alignment) for block in blocks]
    measure = gcd(*(block.bytes for block in items), *alignments, *map(int, np.unique(room.floor)))
    if limit // max(measure, 1) > _MOST_UNITS:
        return None
    return Task(
        numbers,
        np.array([block.start for block in items], np.int64),
        np.array([block.end for block in items], np.int64),
        np.array([block.bytes // measure for block in items], np.int64),
        [alignments[number] // measure for number in numbers],
        room.floor // measure,
        room.ceiling // measure,
        measure,
        room.addresses,
    )


@dataclass(frozen=True)
class Step:
    """Where block `item` lies in each layout that was kept, and in which one before it was put."""

    item: int
    parents: np.ndarray
    addresses: np.ndarray


class LayoutSearch:
    """The search for one task."""

    def __init__(self, task: Task) -> None:
        self.starts, self.ends, self.sizes = task.starts, task.ends, task.sizes
        self.alignments = task.alignments
        self.floor, self.ceiling = task.floor, task.ceiling
        self.ahead = LookAhead(task.starts, task.ends, task.sizes, task.floor, task.ceiling)
        self.chance = np.random.default_rng(_SEED)
        # Addresses of a layout ascend; `items` has the numbers of the blocks.
        self.low: np.ndarray = np.zeros((1, 0), np.int64)
        self.items: np.ndarray = np.zeros((1, 0), np.int64)

    def run(self, budget: Budget) -> list[int] | None:
        """Addresses of all blocks; None if there is no room."""
        if (self.ahead.slack < 0).any():
            return None
        steps = []
        for item in self.turns():
            step = self.put(item, budget)
            if step is None:
                return None
            steps.append(step)
        return self.traced(steps, 0)

    def turns(self) -> list[int]:
        """The blocks in the sequence in which they are placed."""
        turns: list[int] = np.lexsort((-self.ends, -self.sizes, self.starts)).tolist()
        return turns

    def put(self, item: int, budget: Budget) -> Step | None:
        """Go on to where a block is born, and put it into every layout."""
        self._let_go(int(self.starts[item]))
        return None if budget.expired() else self._place(item, budget)

    def traced(self, steps: Sequence[Step], layout: int) -> list[int]:
        """The addresses that led to a layout behind some steps; 0 of what they have not placed."""
        addresses = [0] * len(self.starts)
        for step in reversed(steps):
            addresses[step.item] = int(step.addresses[layout])
            layout = int(step.parents[layout])
        return addresses

    def _let_go(self, call: int) -> None:
        """Forget what is dead: the same blocks in all layouts."""
        alive = self.ends[self.items] > call
        count = len(self.items), int(alive[0].sum())
        self.low, self.items = self.low[alive].reshape(count), self.items[alive].reshape(count)

    def _place(self, item: int, budget: Budget) -> Step | None:
        """Put a block into every layout; None if there is no room in any."""
        start, end, size = int(self.starts[item]), int(self.ends[item]), int(self.sizes[item])
        self.ahead.place(start, end, size)
        parents, gaps, addresses = self._places(item)
        low, items = _inserted(self.low, self.items, parents, gaps, addresses, item)
        ends = self.ends[items]
        looked_at = self.looked_at(low, ends, self.sizes[items])
        layouts = Layouts(low[looked_at], (low + self.sizes[items])[looked_at], ends[looked_at])
        budget.spend(low.size + _ENTRIES_OF_A_STEP, ENTRIES_PER_SECOND)
        if not len(looked_at):
            return None
        judged = self.ahead.judge(layouts, start)
        cost = judged.cost + self._neighbours(layouts, start)
        cost += self.chance.integers(_CHANCE, size=len(cost))
        kept = np.flatnonzero(judged.fits)
        turns = kept[np.argsort(cost[kept], kind="stable")]
        kept = np.sort(self.preferred(turns, judged, parents[looked_at]))
        chosen = looked_at[kept]
        self.low, self.items = low[chosen], items[chosen]
        return Step(item, parents[chosen], addresses[chosen]) if len(kept) else None

    def looked_at(self, low: np.ndarray, ends: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """The layouts that may be kept: those not like one before."""
        return _different(low, ends, sizes)

    def preferred(self, turns: np.ndarray, judged: Judgement, parents: np.ndarray) -> np.ndarray:
        """Those that are kept of layouts `turns`, the cheapest first."""
        if len(turns) <= _WIDTH:
            return turns
        return _unlike_first(turns, judged.likeness)[:_WIDTH]

    def _places(self, item: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both ends of each gap that holds a block: layouts, gaps, addresses."""
        life = slice(int(self.starts[item]), int(self.ends[item]))
        floor, ceiling = int(self.floor[life].max()), int(self.ceiling[life].min())
        edge = np.zeros((len(self.low), 1), np.int64)
        below = np.concatenate([edge + floor, self.low + self.sizes[self.items]], 1)
        above = np.concatenate([self.low, edge + ceiling], 1)
        alignment = self.alignments[item]
        lowest = -(-np.maximum(below, floor) // alignment) * alignment
        highest = np.minimum(above, ceiling) - self.sizes[item]
        highest = highest // alignment * alignment
        at_bottom, at_top = np.nonzero(lowest <= highest), np.nonzero(lowest < highest)
        return (
            np.concatenate([at_bottom[0], at_top[0]]),
            np.concatenate([at_bottom[1], at_top[1]]),
            np.concatenate([lowest[at_bottom], highest[at_top]]),
        )

    def _neighbours(self, layouts: Layouts, call: int) -> np.ndarray:
        """What it costs that neighbours do not die together; a gap is one that is dead now."""
        left = layouts.ends - call
        floor = np.full((len(left), 1), self.floor[call])
        gap = layouts.low > np.concatenate([floor, layouts.high[:, :-1]], 1)
        apart = np.abs(left[:, 1:] - left[:, :-1])
        calls = np.where(gap[:, 1:], left[:, 1:] + left[:, :-1], apart).sum(1)
        calls += np.where(gap[:, 0], left[:, 0], 0)
        calls += np.where(layouts.high[:, -1] < self.ceiling[call], left[:, -1], 0)
        return _NEIGHBOURS * calls


def _inserted(
    low: np.ndarray,
    items: np.ndarray,
    parents: np.ndarray,
    gaps: np.ndarray,
    addresses: np.ndarray,
    item: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Layouts with one block more, number `item`, each in a gap of one of those before."""
    new_low = np.empty((len(parents), low.shape[1] + 1), np.int64)
    new_items = np.empty_like(new_low)
    columns = np.arange(low.shape[1])
    turn = np.arange(len(parents))[:, None]
    behind = columns + (columns >= gaps[:, None])
    new_low[turn, behind], new_items[turn, behind] = low[parents], items[parents]
    new_low[turn[:, 0], gaps], new_items[turn[:, 0], gaps] = addresses, item
    return new_low, new_items


def _different(low: np.ndarray, ends: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Numbers of the layouts that are not like one before."""
    blocks = mixed(low) ^ mixed(mixed(ends) + sizes.astype(np.uint64))
    return np.sort(np.unique(total(mixed(blocks)), return_index=True)[1])


def _unlike_first(turns: np.ndarray, likeness: np.ndarray) -> np.ndarray:
    """Layouts `turns` with those first that are not like one before."""
    unlike = np.zeros(len(turns), bool)
    unlike[np.unique(likeness[turns], return_index=True)[1]] = True
    return np.concatenate([turns[unlike], turns[~unlike]])


def turned(block: Block, calls: int) -> Block:
    """A block with time turned round."""
    parts = (Rectangle(calls - r.end, calls - r.start, r.offset, r.size) for r in block.rectangles)
    return Block(tuple(parts), block.alignment)
