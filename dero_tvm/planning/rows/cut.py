"""The least that can be alive while a certain call runs, whatever the order: a minimum cut.

The calls that are finished when call v starts are a set that holds with each call those that it
waits for, holds all that v waits for, and not v.  Of all such sets the one with the fewest live
bytes is the source side of a minimum cut of this network:

    call -> each call that it waits for       without limit
    each writer of a row -> row begins        without limit
    row begins -> row ends                    bytes of the row
    row ends -> each call that uses the row   without limit
    source -> each call that v waits for      without limit
    v -> sink                                 without limit

A row costs its bytes if a writer of it is finished and a call that uses it is not.  (Picard,
"Maximal closure of a graph and applications to combinatorial problems", Management Science 22,
1976.)  Where only one call begins or ends a row, that call stands for the row's own node.

A row that v may write over counts as if v did not use it: while others use it, it costs its bytes,
and then what v makes in its place costs them.  Only one row is written over: the best is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .precedence import Precedence, Row, bits_of, each_row


@dataclass(frozen=True)
class Cut:
    """The live bytes while a call runs, and for each call whether it is finished then."""

    bytes: int
    finished: np.ndarray


@dataclass(frozen=True)
class _Takeover:
    """A row that a call may write over once `others`, which use it too, are finished."""

    row: Row
    others: tuple[int, ...]


class CutNetwork:
    """The network of all calls and rows, and the minimum cut for each call."""

    def __init__(self, precedence: Precedence) -> None:
        self.precedence = precedence
        self.problem = precedence.problem
        self.source, self.sink = precedence.count, precedence.count + 1
        self.nodes = precedence.count + 2
        self._joint: dict[tuple[bool, tuple[int, ...]], int] = {}  # nodes of rows, by their calls
        self._ends: dict[Row, tuple[int, int]] = {}
        capacities: dict[tuple[int, int], int] = {}  # rows that begin and end alike are one edge
        for row, life in precedence.rows.items():
            ends = (self._begin(life.writers), self._end(life.accesses))
            self._ends[row] = ends
            capacities[ends] = capacities.get(ends, 0) + life.row_bytes
        self._edge = {ends: number for number, ends in enumerate(capacities)}
        begin = [(c, n) for (begins, calls), n in self._joint.items() if begins for c in calls]
        finish = [(n, c) for (begins, calls), n in self._joint.items() if not begins for c in calls]
        waits = [(c, other) for c, earlier in enumerate(precedence.direct) for other in earlier]
        self._begins, self._finishes = _pairs(begin), _pairs(finish)
        self._tail, self._head = _pairs([*capacities, *begin, *finish, *waits])
        self.bytes = sum(capacities.values())
        self._capacity = np.full(len(self._tail), self.bytes + 1, np.int64)
        self._capacity[: len(capacities)] = list(capacities.values())

    def live_between(self, finished: np.ndarray) -> int:
        """Bytes of the rows that lie in memory between two calls."""
        done = np.zeros(self.nodes, bool)
        done[: self.precedence.count] = finished
        done[self.source] = True
        calls, nodes = self._begins
        done[nodes[finished[calls]]] = True
        nodes, calls = self._finishes
        done[nodes] = True
        done[nodes[~finished[calls]]] = False
        rows = slice(len(self._edge))
        return int(self._capacity[rows][done[self._tail[rows]] & ~done[self._head[rows]]].sum())

    def live_in_given_order(self) -> np.ndarray:
        """Bytes of the rows that lie in memory before each call, and behind the last one."""
        count = self.precedence.count
        finished = np.empty(self.nodes, np.int64)  # when each node is
        finished[:count] = np.arange(count)
        finished[[self.source, self.sink]] = -1, count
        for (begins, calls), node in self._joint.items():
            finished[node] = min(calls) if begins else max(calls)
        rows = slice(len(self._edge))
        change = np.zeros(count + 2, np.int64)
        np.add.at(change, finished[self._tail[rows]] + 1, self._capacity[rows])
        np.subtract.at(change, finished[self._head[rows]] + 1, self._capacity[rows])
        return np.cumsum(change)[: count + 1]

    def made_by(self, call: int) -> int:
        """Bytes of what a call makes and uses."""
        lives = self.precedence.rows
        made = each_row(self.problem.calls[call].writes)
        return sum(lives[row].row_bytes for row in made) + self._scratch(call)

    def live_during(self, call: int, finished: np.ndarray) -> int:
        """Bytes of the rows that lie in memory while `call` runs behind those that are finished."""
        lives = self.precedence.rows
        made = [
            row
            for row in each_row(self.problem.calls[call].writes)
            if not (lives[row].writers is None or finished[list(lives[row].writers or ())].any())
        ]
        total = self.live_between(finished) + self._scratch(call)
        total += sum(lives[row].row_bytes for row in made)
        for takeover in self._takeovers(call) if made else ():
            if finished[list(takeover.others)].all():
                return total - lives[takeover.row].row_bytes
        return total

    def least(self, call: int) -> Cut:
        """The fewest live bytes while `call` runs."""
        capacity = self._capacity.copy()
        fixed = self._scratch(call)
        for row in each_row(self.problem.calls[call].writes):
            if not self._has_begun(row, call):
                row_bytes = self.precedence.rows[row].row_bytes
                fixed += row_bytes
                capacity[self._edge[self._ends[row]]] -= row_bytes
        takeovers: list[_Takeover | None] = list(self._takeovers(call))
        cuts = [self._cut(call, fixed, capacity, takeover) for takeover in takeovers or [None]]
        return min(cuts, key=lambda cut: cut.bytes)

    # --- nodes -------------------------------------------------------------------------------

    def _begin(self, writers: tuple[int, ...] | None) -> int:
        """The node that is finished as soon as one of `writers` is."""
        if writers is None:
            return self.source
        mask = bits_of(writers)
        first = [call for call in writers if not self.precedence.ancestors[call] & mask]
        return first[0] if len(first) == 1 else self._node(True, first)

    def _end(self, accesses: tuple[int, ...] | None) -> int:
        """The node that is finished only when all `accesses` are."""
        if accesses is None:
            return self.sink
        mask = bits_of(accesses)
        last = [call for call in accesses if not self.precedence.descendants[call] & mask]
        if not last:  # never used: no longer there behind the first call
            return self.source
        return last[0] if len(last) == 1 else self._node(False, last)

    def _node(self, begins: bool, calls: Iterable[int]) -> int:
        key = (begins, tuple(calls))
        if key not in self._joint:
            self._joint[key] = self.nodes
            self.nodes += 1
        return self._joint[key]

    # --- one call ----------------------------------------------------------------------------

    def _scratch(self, call: int) -> int:
        tensors = self.problem.tensors
        return sum(tensors[number].row_bytes for number in self.problem.calls[call].uses)

    def _has_begun(self, row: Row, call: int) -> bool:
        """Whether `row` is in memory before `call` in every order."""
        writers = self.precedence.rows[row].writers
        return writers is None or bool(bits_of(writers) & self.precedence.ancestors[call])

    def _takeovers(self, number: int) -> Iterator[_Takeover]:
        call, tensors = self.problem.calls[number], self.problem.tensors
        if len(call.writes) != 1:
            return
        made = (call.writes[0].tensor, call.writes[0].first)
        if self._has_begun(made, number):
            return
        for operand in call.in_place:
            row = (operand.tensor, operand.first)
            life = self.precedence.rows.get(row)
            if (
                life is None
                or life.accesses is None
                or row == made
                or life.row_bytes != tensors[made[0]].row_bytes
                or (tensors[row[0]].in_sequence and tensors[made[0]].in_sequence)
                or bits_of(life.accesses) & self.precedence.descendants[number]
            ):
                continue
            before = self.precedence.ancestors[number] | 1 << number
            yield _Takeover(row, tuple(c for c in life.accesses if not before >> c & 1))

    def _cut(self, call: int, fixed: int, capacity: np.ndarray, takeover: _Takeover | None) -> Cut:
        tail, head, nodes = self._tail, self._head, self.nodes
        if takeover is not None:
            ends = self._ends[takeover.row]
            row_bytes = self.precedence.rows[takeover.row].row_bytes
            tail = np.append(tail, [ends[0]] + [nodes] * len(takeover.others))
            head = np.append(head, [nodes, *takeover.others])
            unlimited = [self.bytes + 1] * len(takeover.others)
            capacity = np.append(capacity, [row_bytes, *unlimited])
            capacity[self._edge[ends]] -= row_bytes
            nodes += 1
            if not takeover.others:
                capacity[len(self._tail)] = 0
        place = self._places(call, nodes)
        count = int(place.max()) + 1
        tail, head = place[tail], place[head]
        counts = (tail != head) & (tail != 1) & (head != 0) & (capacity > 0)
        fixed += int(capacity[counts & (tail == 0) & (head == 1)].sum())
        counts &= (tail != 0) | (head != 1)
        edges = _Edges(tail[counts], head[counts], capacity[counts])
        flow, reached = _maximum_flow(edges, count, self.bytes + 1)
        return Cut(fixed + flow, reached[place[: self.precedence.count]])

    def _places(self, call: int, nodes: int) -> np.ndarray:
        """For each node 0 if it is finished for certain, 1 if certainly not, else its number."""
        known = self.precedence
        place = np.full(nodes, -1)
        place[: known.count][known.calls_in(known.ancestors[call])] = 0
        place[: known.count][known.calls_in(known.descendants[call] | 1 << call)] = 1
        place[self.source], place[self.sink] = 0, 1
        free = place < 0
        place[free] = np.arange(2, 2 + np.count_nonzero(free))
        return place


class _Edges(NamedTuple):
    """Of a network: from node, to node, and how much may flow there."""

    tail: np.ndarray
    head: np.ndarray
    capacity: np.ndarray


def _maximum_flow(edges: _Edges, nodes: int, unlimited: int) -> tuple[int, np.ndarray]:
    """The greatest flow from node 0 to 1, and what is still reached from 0 behind it."""
    reached = np.zeros(nodes, bool)
    reached[0] = True
    if not edges.tail.size:
        return 0, reached
    # As much to import as a small network to plan, of which most commands have no need.
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    network = csr_matrix((edges.capacity, (edges.tail, edges.head)), shape=(nodes, nodes))
    network.sum_duplicates()
    network.data = np.minimum(network.data, unlimited).astype(np.int32)
    result = maximum_flow(network, 0, 1)
    left = network - result.flow
    left.eliminate_zeros()
    reached[breadth_first_order(left, 0, return_predecessors=False)] = True
    return int(result.flow_value), reached


def _pairs(edges: list[tuple[int, int]]) -> np.ndarray:
    return np.array(edges, np.int64).reshape(-1, 2).T
