"""Exact packing by depth-first search over canonical placements.

Push every buffer of a placement down until it stands on another or on address 0, and list the
buffers by address.  Any placement can be brought into this form, so it is enough to search
these lists (Moffitt, "MiniMalloc", ASPLOS 2023): the next buffer always lies at its lowest
possible address, and addresses never fall along the list.  Cuts:

* a buffer that could lie wholly below the next one's address would have had its turn before;
* at each moment, the lowest address still open plus all bytes not yet placed must not pass the
  limit (less what licences can still save at that moment);
* where no unplaced buffer spans a moment, the past and the future of it are solved one by one;
* of interchangeable buffers (same life, size, alignment) the first goes first.

A licence with a distance of at least 0 keeps all of this: it only makes a gap smaller.  One with a
negative distance would let an output lie above its input, which the form cannot express; it is
searched as distance 0, and then failure proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .budget import Budget
from .overlap import shared_bytes
from .packing import Packing

FAR = 1 << 60
LARGEST = 400  # items; the search recurses once an item


class _OutOfNodes(Exception):
    pass


@dataclass(frozen=True)
class Verdict:
    """Addresses that keep to the limit, or None; then `proven` says whether there are none."""

    offsets: list[int] | None
    proven: bool
    nodes: int


def search(
    packing: Packing, limit: int, budget: Budget, nodes: int, preference: Sequence[int]
) -> Verdict:
    """Look for a placement of at most `limit` bytes, visiting at most `nodes` nodes.

    Among the buffers that could be next, those early in `preference` are tried first.
    """
    if len(packing) > LARGEST:
        return Verdict(None, False, 0)
    run = _Search(packing.subset(preference), limit, budget, nodes)
    try:
        found = run.solve()
    except _OutOfNodes:
        return Verdict(None, False, run.visited)
    if found is None:
        return Verdict(None, min(packing.licences.values(), default=0) >= 0, run.visited)
    offsets = [0] * len(packing)
    for number, item in enumerate(preference):
        offsets[item] = found[number]
    return Verdict(offsets, True, run.visited)


class _Search:
    def __init__(self, packing: Packing, limit: int, budget: Budget, nodes: int):
        count = len(packing)
        self.budget = budget
        self.nodes = nodes
        self.visited = 0
        self.limit = limit
        self.sizes = np.array(packing.sizes, dtype=np.int64)
        self.alignments = np.array(packing.alignments, dtype=np.int64)
        self.aligned = bool(
            ((self.sizes % self.alignments.max()) == 0).all()
            and (self.alignments == self.alignments.max()).all()
            and all(d % int(self.alignments.max()) == 0 for d in packing.licences.values())
        )
        self.gaps = np.full((count, count), -FAR, dtype=np.int64)
        for i, near in enumerate(packing.neighbours):
            for j, above, _ in near:
                self.gaps[i, j] = max(above, 0)
        moments = sorted({*packing.starts, *packing.ends})
        number = {moment: position for position, moment in enumerate(moments)}
        self.first = [number[start] for start in packing.starts]
        self.last = [number[end] for end in packing.ends]
        self.sections = max(len(moments) - 1, 1)
        self.floor = np.zeros(self.sections, dtype=np.int64)
        self.todo = np.zeros(self.sections, dtype=np.int64)
        self.crossing = np.zeros(self.sections + 1, dtype=np.int64)
        self.saving = np.zeros(self.sections, dtype=np.int64)
        for i in range(count):
            a, b = self.first[i], self.last[i]
            self.todo[a:b] += packing.sizes[i]
            self.crossing[a + 1 : b] += 1
        per_section: dict[int, dict[tuple[int, int], int]] = {}
        for (output, source), distance in packing.licences.items():
            for section in range(
                max(self.first[output], self.first[source]),
                min(self.last[output], self.last[source]),
            ):
                per_section.setdefault(section, {})[output, source] = max(distance, 0)
        for section, pairs in per_section.items():
            self.saving[section] = shared_bytes(dict(enumerate(packing.sizes)), pairs)
        self.twin_before = self._twins(packing)
        self.offsets: list[int] = [0] * count

    def _twins(self, packing: Packing) -> list[int]:
        """Per item: the item before it that it could change places with, or -1."""
        licensed = {item for pair in packing.licences for item in pair}
        latest: dict[tuple[int, int, int, int], int] = {}
        result = []
        for i, key in enumerate(
            zip(packing.sizes, packing.starts, packing.ends, packing.alignments, strict=True)
        ):
            if i in licensed:
                result.append(-1)
                continue
            result.append(latest.get(key, -1))
            latest[key] = i
        return result

    def solve(self) -> list[int] | None:
        count = len(self.sizes)
        lowest = np.zeros(count, dtype=np.int64)
        unplaced = np.arange(count)
        if ((self.todo - self.saving) > self.limit).any():
            return None
        return self.offsets if self._parts(unplaced, lowest, 0, 0, self.sections) else None

    def _parts(
        self, unplaced: np.ndarray, lowest: np.ndarray, last: int, begin: int, end: int
    ) -> bool:
        """Solve the unplaced items of sections [begin, end), which no other item enters."""
        if not len(unplaced):
            return True
        cuts = np.flatnonzero(self.crossing[begin + 1 : end] == 0)
        if not len(cuts):
            return self._branch(unplaced, lowest, last, begin, end)
        edges = [begin, *(int(c) + begin + 1 for c in cuts), end]
        starts = np.array([self.first[i] for i in unplaced])
        parts = []
        for a, b in zip(edges, edges[1:], strict=False):
            inside = unplaced[(starts >= a) & (starts < b)]
            if len(inside):
                parts.append((len(inside), a, b, inside))
        parts.sort(key=lambda part: part[:2])
        floor = self.floor.copy()
        todo = self.todo.copy()
        crossing = self.crossing.copy()
        for _, a, b, inside in parts:
            if not self._branch(inside, lowest, last, a, b):
                self.floor, self.todo, self.crossing = floor, todo, crossing
                return False
        return True

    def _branch(
        self, unplaced: np.ndarray, lowest: np.ndarray, last: int, begin: int, end: int
    ) -> bool:
        """Try each item that may come next, then the rest."""
        self.visited += 1
        if self.visited > self.nodes or (self.visited % 1024 == 0 and self.budget.expired()):
            raise _OutOfNodes
        at = lowest[unplaced]
        ceiling = (at + self.sizes[unplaced]).min()
        waiting = set(unplaced.tolist())
        for item in unplaced[(at >= last) & (at < ceiling)].tolist():
            if self.twin_before[item] in waiting:
                continue
            address = int(lowest[item])
            a, b = self.first[item], self.last[item]
            saved = (
                self.floor[a:b].copy(),
                self.todo[a:b].copy(),
                self.crossing[a + 1 : b].copy(),
            )
            size = int(self.sizes[item])
            self.floor[a:b] = np.maximum(self.floor[a:b], address + size)
            self.todo[a:b] -= size
            self.crossing[a + 1 : b] -= 1
            rest = unplaced[unplaced != item]
            after = np.maximum(lowest, address + self.gaps[item])
            if not self.aligned:
                after = -(-after // self.alignments) * self.alignments
            if self._possible(rest, after, address, begin, end):
                self.offsets[item] = address
                if self._parts(rest, after, address, begin, end):
                    return True
            self.floor[a:b], self.todo[a:b], self.crossing[a + 1 : b] = saved
        return False

    def _possible(
        self, rest: np.ndarray, lowest: np.ndarray, last: int, begin: int, end: int
    ) -> bool:
        """Whether each item and each moment can still keep to the limit."""
        if not len(rest):
            return True
        if (np.maximum(lowest[rest], last) + self.sizes[rest]).max() > self.limit:
            return False
        floor = np.maximum(self.floor[begin:end], last)
        todo = self.todo[begin:end]
        need = floor + todo - self.saving[begin:end]
        return not ((need > self.limit) & (todo > 0)).any()
