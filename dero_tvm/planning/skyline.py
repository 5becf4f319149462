"""Exact packing: is there a placement of at most so many bytes?

Push every buffer of a placement down until it stands on another or on address 0.  The search
builds such placements, and only such, by asking one question after another about the skyline of
what is placed already:

    address
      ^             +-----+
      |  +-------+  |  b  |
      |  |   a   |  +-----+------+
      |  |       |  |     c      |       At moment t the least address that any unplaced
      |  +-------+--+-+------+---+       buffer can have is f.  Which of those alive at t
      +---------------+------+------>    lies at f: x, or y, or none of them?
                      f at t     time

Each answer is a branch.  `x at f` places x.  `None` raises them all: x then stands on a buffer
yet unplaced, so at least as high as the lowest possible top of a buffer it meets in time.  Four
things keep the tree small:

* the moment asked about is the one with the fewest answers, often one;
* where the least address open at a moment plus all bytes still to be placed there passes the
  limit, the branch is dead (overlap constraints count with what they can still save);
* moments that no unplaced buffer spans divide the rest into parts solved one by one;
* of two buffers of equal size and life the first goes first.

A moment may be asked about if nothing unplaced could still slip in below its candidates; at the
lowest f of all that always holds.  The idea to build placements from the bottom with every
buffer supported, and to prune by moments, is MiniMalloc's (M. Moffitt, ASPLOS 2023); asking about
moments instead of listing buffers by address is what makes it quick without native code.

An overlap constraint of distance >= 0 only makes a gap smaller and changes none of this.  A
negative one would let an output lie above its input.  It is searched as distance 0, and then
failure proves nothing; or, `relaxed`, as if the two never met, and then success means nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .budget import Budget
from .overlap import shared_bytes
from .packing import Packing

Ints = NDArray[np.signedinteger]

FAR = 1 << 28  # above every address, in units; the sum of two fits 32 bits
LARGEST = 600  # items
QUESTIONS_PER_SECOND = 600_000  # times items and EXTRA_ITEMS
EXTRA_ITEMS = 200  # what a question costs besides, in items
FEWEST_ANSWERS = 1 << 40  # weight of one answer against the tie rule


@dataclass(frozen=True)
class Strategy:
    """How the search goes: nothing here changes what it can find, only when.

    `preference` lists the items in the order in which answers are tried.  Of moments with equally
    few answers, `tie` asks about the "lowest", the one with the least "slack", or the "first".
    """

    preference: tuple[int, ...]
    tie: str = "lowest"


@dataclass(frozen=True)
class SearchResult:
    """Addresses that keep to the limit, or None; then `proven` says whether there are none."""

    offsets: list[int] | None
    proven: bool
    nodes: int


def search(
    packing: Packing,
    limit: int,
    budget: Budget,
    nodes: int,
    strategy: Strategy,
    *,
    relaxed: bool = False,
) -> SearchResult:
    """Look for a placement of at most `limit` bytes, asking at most `nodes` questions.

    Every item has at least one byte.  With `relaxed`, the verdict has no addresses: the search
    only tries to prove that there are none.
    """
    unit = packing.unit
    if len(packing) > LARGEST or limit // unit >= FAR // 2 or nodes <= 0:
        return SearchResult(None, False, 0)
    if max(packing.sizes) > limit:
        return SearchResult(None, True, 0)
    turned = packing.subset(strategy.preference)
    run = _Search(turned, unit, limit, strategy.tie, budget, nodes, relaxed)
    try:
        with _recursion(3 * len(packing)):
            found = run.solve()
    except _OutOfNodes:
        return SearchResult(None, False, run.visited)
    if not found:
        return SearchResult(None, run.is_complete, run.visited)
    if relaxed:
        return SearchResult(None, False, run.visited)
    offsets = [0] * len(packing)
    for number, item in enumerate(strategy.preference):
        offsets[item] = run.offsets[number] * unit
    return SearchResult(offsets, True, run.visited)


@contextmanager
def _recursion(depth: int) -> Iterator[None]:
    """Room for `depth` more calls: the search recurses a few times for each item."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class _OutOfNodes(Exception):
    """The search must end without a verdict."""


@dataclass
class _Part:
    """Unplaced items and the moments they are alive at.

    `base` is where an item would stand on what is placed; `low` is a lower bound on its address.
    They differ if it has been decided that the item stands on something yet unplaced.  Items
    already placed have `low` FAR until the part is compressed.
    """

    items: Ints
    base: Ints
    low: Ints
    gaps: Ints  # [below, above]: least distance of addresses, FAR if never alive together
    absent: Ints  # [item, moment]: 0 if alive, else FAR
    todo: Ints  # per moment: units not yet placed
    saving: Ints  # per moment: the most of them that overlap constraints can save
    moments: Ints

    def take(self, rows: Ints, columns: Ints) -> _Part:
        """Some of the items, at some of the moments."""
        return _Part(
            self.items[rows],
            self.base[rows],
            self.low[rows],
            self.gaps[rows][:, rows],
            self.absent[rows][:, columns],
            self.todo[columns],
            self.saving[columns],
            self.moments[columns],
        )


class _Search:
    def __init__(
        self,
        packing: Packing,
        unit: int,
        limit: int,
        tie: str,
        budget: Budget,
        nodes: int,
        relaxed: bool,
    ):
        count = len(packing)
        self.limit = limit // unit
        self.tie = tie
        self.budget = budget
        self.nodes = nodes
        self.visited = 0
        self.offsets = [0] * count
        self.sizes = np.array([s // unit for s in packing.sizes], dtype=np.int32)
        self.alignments = np.array([a // unit for a in packing.alignments], dtype=np.int32)
        self.is_uniform = bool((self.alignments == 1).all())
        self.is_complete = relaxed or all(d >= 0 for d in packing.overlaps.values())
        gaps = np.full((count, count), FAR, dtype=np.int32)
        for i, near in enumerate(packing.neighbours):
            for j, above, below in near:
                if not relaxed or min(above, below) >= 0:
                    gaps[i, j] = max(above, 0) // unit
                if max(above, below) <= 0:  # no constraint at all
                    gaps[i, j] = FAR
        self.has_zero_gaps = bool((gaps == 0).any())
        edges = sorted({*packing.starts, *packing.ends})
        number = {edge: position for position, edge in enumerate(edges)}
        self.first = np.array([number[start] for start in packing.starts])
        self.last = np.array([number[end] for end in packing.ends])
        absent = np.full((count, len(edges) - 1), FAR, dtype=np.int32)
        todo = np.zeros(len(edges) - 1, dtype=np.int32)
        for i in range(count):
            absent[i, self.first[i] : self.last[i]] = 0
            todo[self.first[i] : self.last[i]] += self.sizes[i]
        zero = np.zeros(count, dtype=np.int32)
        self.root = _Part(
            np.arange(count),
            zero,
            zero,
            gaps,
            absent,
            todo,
            np.zeros_like(todo),
            np.arange(len(edges) - 1),
        )
        self.equal_before = _equal_before(packing)
        self._set_overlaps(packing, unit)

    def _set_overlaps(self, packing: Packing, unit: int) -> None:
        """Which overlap constraints matter at which moment, and what they can save there."""
        self.pairs: dict[int, dict[tuple[int, int], int]] = {}
        self.overlap_moments: dict[int, list[int]] = {}  # item -> moments
        for (output, source), distance in packing.overlaps.items():
            begin = max(self.first[output], self.first[source])
            for moment in range(begin, min(self.last[output], self.last[source])):
                self.pairs.setdefault(moment, {})[output, source] = max(distance // unit, 0)
                for item in (output, source):
                    self.overlap_moments.setdefault(item, []).append(moment)
        self.weights = {i: int(size) for i, size in enumerate(self.sizes)}
        self.saved: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}
        for moment in self.pairs:
            self.root.saving[moment] = self._saving(self.root, moment)

    def _saving(self, part: _Part, moment: int) -> int:
        """The most that unplaced buffers alive at `moment` can save."""
        pairs = self.pairs[moment]
        waiting = tuple(p for p in pairs if self._waits(part, p[0]) and self._waits(part, p[1]))
        key = (moment, waiting)
        if key not in self.saved:
            self.saved[key] = shared_bytes(self.weights, {pair: pairs[pair] for pair in waiting})
        return self.saved[key]

    def _waits(self, part: _Part, item: int) -> bool:
        """Whether an item of the part is not placed yet."""
        row = int(np.searchsorted(part.items, item))
        return row < len(part.items) and part.items[row] == item and bool(part.low[row] < FAR)

    def solve(self) -> bool:
        """Whether there is a placement; then it is in `offsets`, in units."""
        return self._parts(self.root)

    def _parts(self, part: _Part) -> bool:
        """Solve a part, divided where no unplaced item spans two moments."""
        left = np.flatnonzero(part.low < FAR)
        if not len(left):
            return True
        by_start = left[np.argsort(self.first[part.items[left]], kind="stable")]
        starts = self.first[part.items[by_start]]
        ends = np.maximum.accumulate(self.last[part.items[by_start]])
        cuts = np.flatnonzero(starts[1:] >= ends[:-1]) + 1
        if not len(cuts) and len(left) > 0.7 * len(part.items):
            return self._solve(part)
        groups = sorted(np.split(by_start, cuts), key=len)
        for group in groups:
            rows = np.sort(group)
            columns = np.flatnonzero((part.absent[rows] == 0).any(axis=0))
            if not self._solve(part.take(rows, columns)):
                return False
        return True

    def _align(self, addresses: Ints, part: _Part) -> Ints:
        if self.is_uniform:
            return addresses
        alignments = self.alignments[part.items]
        aligned: Ints = np.minimum(-(-addresses // alignments) * alignments, FAR)
        return aligned

    def _solve(self, part: _Part) -> bool:
        """Ask, try each answer, and go on with "none"."""
        while True:
            self.visited += 1
            self.budget.spend(len(self.sizes) + EXTRA_ITEMS, QUESTIONS_PER_SECOND)
            if self.visited > self.nodes or self.budget.expired():
                raise _OutOfNodes
            on_top = self._raise_undecided(part)
            question = self._ask(part, on_top)
            if question is None:
                return False
            address, answers, none_possible = question
            for row in answers:
                equal = self.equal_before[int(part.items[row])]
                if equal >= 0 and self._waits(part, equal):
                    continue
                if self._parts(self._placed(part, row, address)):
                    return True
            if not none_possible:
                return False
            part.low = part.low.copy()
            part.low[answers] = on_top[answers]

    def _raise_undecided(self, part: _Part) -> Ints:
        """Raise items that stand on something unplaced.

        Returns, per item, the lowest address at which it could do so.
        """
        while True:
            on_top = np.minimum((part.low[:, None] + part.gaps).min(axis=0), FAR)
            on_top = self._align(on_top, part)
            higher = (part.base < part.low) & (on_top > part.low)
            if not higher.any():
                return on_top
            part.low = np.where(higher, on_top, part.low)
            if (higher & (part.low > self.limit)).any():
                return on_top

    def _ask(self, part: _Part, on_top: Ints) -> tuple[int, list[int], bool] | None:
        """The question with the fewest answers: an address, the rows that could lie there, and
        whether none of them might.  None if the part has no solution.
        """
        sizes = self.sizes[part.items]
        low = part.low
        waiting = self._unplaced(part)
        if ((low + sizes > self.limit) & waiting).any():
            return None
        lows = low[:, None] + part.absent
        floor = lows.min(axis=0)
        active = part.todo > 0
        need = part.todo - part.saving
        if ((floor + need > self.limit) & active).any():
            return None
        candidate = lows == floor
        askable = part.base == low
        eligible = askable & (on_top > low)
        if self.has_zero_gaps:
            zero = np.where(part.gaps == 0, 0, FAR)
            others = np.where(part.gaps == 0, FAR, part.gaps)
            beside = (low[:, None] + zero).min(axis=0)
            beneath = self._align((low[:, None] + others).min(axis=0), part)
            askable = (beneath > low) & ((askable & (beside > low)) | (beside == low))
        else:
            askable = eligible
        answers = candidate & eligible[:, None]
        count = answers.sum(axis=0)
        usable = active & (count > 0) & ~(candidate & ~askable[:, None]).any(axis=0)
        if not usable.any():
            raise _OutOfNodes  # overlap constraints in a circle: no item is surely the lower one
        without = np.where(answers, on_top[:, None], lows).min(axis=0)
        none_possible = without + need <= self.limit
        weight = (count + none_possible).astype(np.int64) * FEWEST_ANSWERS
        if self.tie == "lowest":
            weight += floor
        elif self.tie == "slack":
            weight += self.limit - need - floor
        moment = int(np.where(usable, weight, np.iinfo(np.int64).max).argmin())
        rows = np.flatnonzero(answers[:, moment]).tolist()
        return int(floor[moment]), rows, bool(none_possible[moment])

    def _unplaced(self, part: _Part) -> NDArray[np.bool_]:
        # A raised `low` may be FAR too, when nothing is left to stand on: not placed, but dead.
        return (part.low < FAR) | (part.base < FAR)

    def _placed(self, part: _Part, row: int, address: int) -> _Part:
        """The part after placing an item."""
        self.offsets[int(part.items[row])] = address
        gaps = part.gaps[row]
        base = np.where(gaps < FAR, np.maximum(part.base, address + gaps), part.base)
        base = self._align(base, part)
        low = np.maximum(part.low, base)
        base[row] = low[row] = FAR
        item = int(part.items[row])
        todo = part.todo - np.where(part.absent[row] == 0, self.sizes[item], 0).astype(np.int32)
        after = replace(part, base=base, low=low, todo=todo)
        if item in self.overlap_moments:
            after.saving = part.saving.copy()
            for moment in self.overlap_moments[item]:
                column = int(np.searchsorted(part.moments, moment))
                after.saving[column] = self._saving(after, moment)
        return after


def _equal_before(packing: Packing) -> list[int]:
    """Per item: the item before it that it could change places with, or -1."""
    may_overlap = {item for pair in packing.overlaps for item in pair}
    latest: dict[tuple[int, int, int, int], int] = {}
    result = []
    for i, key in enumerate(
        zip(packing.sizes, packing.starts, packing.ends, packing.alignments, strict=True)
    ):
        result.append(-1 if i in may_overlap else latest.get(key, -1))
        if i not in may_overlap:
            latest[key] = i
    return result
