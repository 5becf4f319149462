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
from .look_ahead import Judgement, Layouts, LookAhead, Places
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
        self.names = mixed(mixed(task.ends) + task.sizes.astype(np.uint64))
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
        layouts = Layouts(self.low, self.low + self.sizes[self.items], self.ends[self.items])
        places = self._places(item, layouts)
        entries = len(places) * (self.low.shape[1] + 1)
        budget.spend(entries + _ENTRIES_OF_A_STEP, ENTRIES_PER_SECOND)
        if not len(places):
            return None
        looked_at = self.looked_at(places, item)
        places = places[looked_at]
        judged = self.ahead.judge(layouts, places, start)
        cost = judged.cost + self._neighbours(layouts, places, start)
        cost += self.chance.integers(_CHANCE, size=len(cost))
        kept = np.flatnonzero(judged.fits)
        turns = kept[np.argsort(cost[kept], kind="stable")]
        kept = np.sort(self.preferred(turns, judged, places.layouts))
        chosen = places[kept]
        self.ahead.keep(chosen.layouts, kept)
        self.low, self.items = _inserted(self.low, self.items, chosen, item)
        return Step(item, chosen.layouts, chosen.low) if len(kept) else None

    def looked_at(self, places: Places, item: int) -> np.ndarray:
        """The places that may be taken: those with which a layout is not like one before."""
        prints = total(mixed(mixed(self.low) ^ self.names[self.items]))
        return _different(prints[places.layouts] + mixed(mixed(places.low) ^ self.names[item]))

    def preferred(self, turns: np.ndarray, judged: Judgement, parents: np.ndarray) -> np.ndarray:
        """Those that are kept of layouts `turns`, the cheapest first."""
        if len(turns) <= _WIDTH:
            return turns
        return _unlike_first(turns, judged.likeness)[:_WIDTH]

    def _places(self, item: int, layouts: Layouts) -> Places:
        """Both ends of each gap that holds a block."""
        life = slice(int(self.starts[item]), int(self.ends[item]))
        floor, ceiling = int(self.floor[life].max()), int(self.ceiling[life].min())
        below, above = layouts.edges(floor, ceiling)
        alignment, size = self.alignments[item], int(self.sizes[item])
        lowest = -(-np.maximum(below, floor) // alignment) * alignment
        highest = (np.minimum(above, ceiling) - size) // alignment * alignment
        at_bottom, at_top = np.nonzero(lowest <= highest), np.nonzero(lowest < highest)
        low = np.concatenate([lowest[at_bottom], highest[at_top]])
        numbers, gaps = np.concatenate([at_bottom, at_top], 1)
        return Places(numbers, gaps, low, low + size, int(self.ends[item]))

    def _neighbours(self, layouts: Layouts, places: Places, call: int) -> np.ndarray:
        """What it costs that neighbours do not die together; a gap is one that is dead now.

        Nothing outlives an end of the arena: there, only gaps count.
        """
        below, above = layouts.edges(int(self.floor[call]), int(self.ceiling[call]))
        left = np.zeros((below.shape[0], below.shape[1] + 1), np.int64)
        left[:, 1:-1] = layouts.ends - call
        lower, upper = left[:, :-1], left[:, 1:]
        calls = np.where(above > below, lower + upper, np.abs(lower - upper))
        calls[:, 0] *= above[:, 0] > below[:, 0]
        calls[:, -1] *= above[:, -1] > below[:, -1]
        own, gap = places.end - call, (places.layouts, places.gaps)
        under = np.where(places.low > below[gap], lower[gap] + own, np.abs(lower[gap] - own))
        over = np.where(places.high < above[gap], upper[gap] + own, np.abs(upper[gap] - own))
        under[(places.gaps == 0) & (places.low == below[gap])] = 0
        over[(places.gaps == left.shape[1] - 2) & (places.high == above[gap])] = 0
        return _NEIGHBOURS * (calls.sum(1)[places.layouts] - calls[gap] + under + over)


def _inserted(
    low: np.ndarray, items: np.ndarray, places: Places, item: int
) -> tuple[np.ndarray, np.ndarray]:
    """Layouts with one block more, number `item`, each at a place in one of those before."""
    new_low = np.empty((len(places), low.shape[1] + 1), np.int64)
    new_items = np.empty_like(new_low)
    columns = np.arange(low.shape[1])
    turn = np.arange(len(places))[:, None]
    behind = columns + (columns >= places.gaps[:, None])
    new_low[turn, behind], new_items[turn, behind] = low[places.layouts], items[places.layouts]
    new_low[turn[:, 0], places.gaps], new_items[turn[:, 0], places.gaps] = places.low, item
    return new_low, new_items


def _different(prints: np.ndarray) -> np.ndarray:
    """Numbers of those that are not like one before."""
    return np.sort(np.unique(prints, return_index=True)[1])


def _unlike_first(turns: np.ndarray, likeness: np.ndarray) -> np.ndarray:
    """Layouts `turns` with those first that are not like one before."""
    unlike = np.zeros(len(turns), bool)
    unlike[np.unique(likeness[turns], return_index=True)[1]] = True
    return np.concatenate([turns[unlike], turns[~unlike]])


def turned(block: Block, calls: int) -> Block:
    """A block with time turned round."""
    parts = (Rectangle(calls - r.end, calls - r.start, r.offset, r.size) for r in block.rectangles)
    return Block(tuple(parts), block.alignment)
