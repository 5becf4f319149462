"""Placement of rows within a limit, from the call at which most is alive towards both ends.

Where nothing is free during many calls, each row takes the place of one that dies, and how the rows
of one such call are stacked decides whether all others find places.  So stacks of what is alive
during that call are tried, many at once.  From each the search call by call goes on to the last
call, and back to the first, with a few layouts of a stack; how far it gets says how good the stack
is.  Then the best stacks are changed: a block goes elsewhere, two change places, or some that
lie side by side move together (an evolution strategy, with mutations alone).

    address                     stack
      ^        +-----------------+--+-------
      |   <--- |        +--------+--+-+        --->
      |     +--+---+----+--------+--+-+-+
      +---------------------------|----------> calls
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..budget import Budget
from .layout_search import LayoutSearch, Step, Task, task_of
from .lives import Block
from .look_ahead import Judgement, Places

_STACKS = 300  # that are tried at once
_PARENTS = 40  # the best ones, which are changed
_LAYOUTS = 4  # of a stack that are kept
_PATIENCE = 12  # times that no stack gets farther, after which the search ends
_SEED = 0


def place_from_the_middle(
    blocks: Sequence[Block], calls: int, unit: int, limit: int, budget: Budget
) -> list[int] | None:
    """Addresses, multiples of `unit`, that keep to `limit`; None if none are found."""
    task = task_of(blocks, calls, unit, limit)
    if task is None or not task.numbers:
        return None
    found = _Stacks(task).run(budget)
    return None if found is None else task.offsets(found)


class _Stacks:
    """The items alive during one call in several sequences, and how far each gets."""

    def __init__(self, task: Task) -> None:
        self.task = task
        load = np.zeros(len(task.floor) + 1, np.int64)
        np.add.at(load, task.starts, task.sizes)
        np.subtract.at(load, task.ends, task.sizes)
        slack = task.ceiling - task.floor - np.cumsum(load)[:-1]
        tightest = np.flatnonzero(slack == slack.min())
        self.fits = bool(slack.min() >= 0)
        self.call = int(tightest[len(tightest) // 2])
        self.alive = np.flatnonzero((task.starts <= self.call) & (task.ends > self.call))
        self.ways = (_forward(task, self.call), _backward(task, self.call))
        self.chance = np.random.default_rng(_SEED)
        self.reached: dict[tuple[int, ...], int] = {}  # calls, by stack

    def run(self, budget: Budget) -> list[int] | None:
        """Addresses of all items."""
        stacks = [self._first() for _ in range(_STACKS)]
        farthest, vain = 0, 0
        while self.fits and vain < _PATIENCE and not budget.expired():
            new = [stack for stack in dict.fromkeys(stacks) if stack not in self.reached]
            found = self._tried(new, budget)
            if found is not None:
                return found
            best = sorted(self.reached, key=lambda stack: -self.reached[stack])[:_PARENTS]
            if not best:
                return None
            vain = 0 if self.reached[best[0]] > farthest else vain + 1
            farthest = self.reached[best[0]]
            stacks = [self._changed(best[self.chance.integers(len(best))]) for _ in range(_STACKS)]
        return None

    def _tried(self, stacks: Sequence[tuple[int, ...]], budget: Budget) -> list[int] | None:
        """See how far some stacks get; the addresses that follow from one that gets to the ends."""
        stacks, low = self._standing(stacks)
        if not stacks:
            return None
        items = np.array(stacks)
        outward = [_Outward(way).go_on(low, way.number[items], budget) for way in self.ways]
        reached = outward[0].reached + outward[1].reached
        self.reached.update(zip(stacks, reached.tolist(), strict=True))
        # The call of the stacks counts twice.
        arrived = np.flatnonzero(reached == len(self.task.floor) + 1)
        if not len(arrived):
            return None
        addresses = np.zeros(len(self.task.starts), np.int64)
        for way, search in zip(self.ways, outward, strict=True):
            addresses[way.items] = search.addresses(int(arrived[0]))
        addresses[items[arrived[0]]] = low[arrived[0]]
        return [int(address) for address in addresses]

    def _standing(
        self, stacks: Sequence[tuple[int, ...]]
    ) -> tuple[list[tuple[int, ...]], np.ndarray]:
        """The stacks that fit in, and the address of each item of each."""
        task = self.task
        kept, addresses = [], []
        lives = {i: slice(int(task.starts[i]), int(task.ends[i])) for i in self.alive.tolist()}
        floors = {i: int(task.floor[life].max()) for i, life in lives.items()}
        ceilings = {i: int(task.ceiling[life].min()) for i, life in lives.items()}
        for stack in stacks:
            top = int(task.floor[self.call])
            low = []
            for item in stack:
                alignment = task.alignments[item]
                low.append(-(-max(top, floors[item]) // alignment) * alignment)
                top = low[-1] + int(task.sizes[item])
                if top > ceilings[item]:
                    break
            else:
                kept.append(stack)
                addresses.append(low)
        return kept, np.array(addresses, np.int64)

    def _first(self) -> tuple[int, ...]:
        """A stack by chance, but small items of one size lie side by side as they die."""
        families: dict[int, list[int]] = defaultdict(list)
        for item in self.alive.tolist():
            families[int(self.task.sizes[item])].append(item)
        groups: list[list[int]] = []
        for size, items in families.items():
            if size * len(items) <= max(families):
                items.sort(key=lambda item: (self.task.ends[item], item))
                groups.append(items[:: 1 if self.chance.integers(2) else -1])
            else:
                groups += [[item] for item in items]
        turns = self.chance.permutation(len(groups))
        return tuple(item for turn in turns for item in groups[turn])

    def _changed(self, stack: tuple[int, ...]) -> tuple[int, ...]:
        items = list(stack)
        for _ in range(1 + self.chance.integers(2)):
            one, other = sorted(self.chance.integers(len(items), size=2).tolist())
            way = self.chance.integers(3)
            if way == 0:
                items[one], items[other] = items[other], items[one]
            elif way == 1:
                items.insert(one, items.pop(other))
            else:
                some = items[one : other + 1]
                del items[one : other + 1]
                place = self.chance.integers(len(items) + 1)
                items[place:place] = some[:: 1 if self.chance.integers(2) else -1]
        return tuple(items)


@dataclass(frozen=True)
class _Way:
    """What is left to place from a call on, in one direction; calls are counted from that one.

    `items` are those of the whole task, `number` has for each of these its number here.
    """

    task: Task
    items: np.ndarray
    number: np.ndarray


def _forward(task: Task, call: int) -> _Way:
    starts, ends = np.maximum(task.starts - call, 0), task.ends - call
    return _way(task, starts, ends, task.floor[call:], task.ceiling[call:])


def _backward(task: Task, call: int) -> _Way:
    starts, ends = np.maximum(call + 1 - task.ends, 0), call + 1 - task.starts
    return _way(task, starts, ends, task.floor[call::-1], task.ceiling[call::-1])


def _way(
    task: Task, starts: np.ndarray, ends: np.ndarray, floor: np.ndarray, ceiling: np.ndarray
) -> _Way:
    items = np.flatnonzero(ends > 0)
    number = np.full(len(ends), -1)
    number[items] = np.arange(len(items))
    part = replace(
        task,
        numbers=items.tolist(),
        starts=starts[items],
        ends=ends[items],
        sizes=task.sizes[items],
        alignments=[task.alignments[item] for item in items.tolist()],
        floor=floor,
        ceiling=ceiling,
    )
    return _Way(part, items, number)


class _Outward(LayoutSearch):
    """From many stacks at once to the last call; `reached` has for each to which call it got."""

    def __init__(self, way: _Way) -> None:
        super().__init__(way.task)
        self.reached = np.zeros(0, np.int64)
        self.stacks = np.zeros(0, np.int64)  # by layout
        self.steps: list[Step] = []

    def go_on(self, low: np.ndarray, items: np.ndarray, budget: Budget) -> _Outward:
        """Go on from stacks, in each of which every one of `items` has its address."""
        self.low, self.items = low, items
        self.stacks, self.reached = np.arange(len(low)), np.zeros(len(low), np.int64)
        there = set(items[0].tolist())
        for item in there:
            self.ahead.place(int(self.starts[item]), int(self.ends[item]), int(self.sizes[item]))
        for item in (item for item in self.turns() if item not in there):
            self.reached[self.stacks] = self.starts[item]
            step = self.put(item, budget)
            if step is None:
                return self
            self.stacks = self.stacks[step.parents]
            self.steps.append(step)
        self.reached[self.stacks] = len(self.floor)
        return self

    def addresses(self, stack: int) -> list[int]:
        """Those that led from a stack to the last call."""
        return self.traced(self.steps, int(np.flatnonzero(self.stacks == stack)[0]))

    def looked_at(self, places: Places, item: int) -> np.ndarray:
        """All of them."""
        return np.arange(len(places))

    def preferred(self, turns: np.ndarray, judged: Judgement, parents: np.ndarray) -> np.ndarray:
        """The cheapest few of each stack."""
        stacks = self.stacks[parents[turns]]
        by_stack = np.argsort(stacks, kind="stable")
        first = np.searchsorted(stacks[by_stack], stacks[by_stack])
        return turns[by_stack[np.arange(len(turns)) - first < _LAYOUTS]]
