"""Searches for an order of calls in which never more than a number of bytes are alive.

A state of a run is how many calls each operation has made.  What is alive in a state is submodular,
so that some moves lose nothing: from a state I at once to a J that can be reached and in which no
more is alive than in any state between the two.  (An order that goes on from I through P can go on
from J through P | J, for alive(P | J) <= alive(P) + alive(J) - alive(P & J) <= alive(P).)  Searches
that make such moves wherever they see them have few states left to choose in.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .call_graph import CallGraph, Counts

_AHEAD = 10  # states that are looked at for a move without loss, when a limit is given
_AHEAD_OF_CLIMB = 100  # the same for the lowest way up and down again
_COUNTS_A_STEP = 128  # numbers of calls that are copied in the time of a step, about
_COMPARED_A_STEP = 32  # numbers of calls that are compared in the time of a step, about
_KEPT_SETS = 1 << 14  # of operations, with what they consist of
_Sized = tuple[tuple[int, Counts], ...]


@dataclass
class State:
    """How many calls each operation has made, what follows from it, and the way that led there.

    `ready` has a bit for each operation that can make a call; `key` is a number for the counts.
    """

    made: list[int]
    ready: int
    alive: int
    key: int


class OrderSearch:
    """Searches over the states of one graph; `steps` counts the calls that they have tried."""

    def __init__(self, graph: CallGraph) -> None:
        self.steps = 0
        self._start_bytes = graph.start_bytes
        self._calls = sum(graph.lengths)
        self._needs: list[list[Counts | None]] = [[*needs, None] for needs in graph.needs]
        self._turns: list[list[tuple[int, int, _Sized, int, _Sized, _Sized]]] = [
            [
                (_steps(t.births, t.deaths, t.places), t.born, t.births, t.dead, t.deaths, t.places)
                for t in turns
            ]
            for turns in graph.turns
        ]
        # The turns of other operations that wait for a turn, among others.
        self._waiting: list[list[list[tuple[int, int, Counts]]]] = [
            [[] for _ in range(length)] for length in graph.lengths
        ]
        for operation, needs in enumerate(graph.needs):
            for turn, counts in enumerate(needs):
                for other, count in counts:
                    self._waiting[other][count - 1].append((operation, turn, counts))
        self._weights = []
        self._end = 1
        for length in graph.lengths:
            self._weights.append(self._end)
            self._end *= length + 1
        self._end -= 1

    def climb(self, order: Sequence[tuple[int, int]], steps: int) -> list[int]:
        """A good order fast: always the lowest way to a state in which no more is alive.

        `order` has operations and their turns; where no such way is seen, and all along behind
        `steps`, it says what comes next.  Gives the operations in the order of their calls.
        """
        last = self.steps + steps
        state, peak = self._start(), self._start_bytes
        path: list[int] = []
        following = iter(order)
        while len(path) < self._calls:
            if self.steps < last:
                self._descend(state, peak, path)
            if not state.ready:
                break
            way, top = self._lowest_way(state, peak) if self.steps < last else ([], peak)
            if not way:
                way = [next(op for op, turn in following if state.made[op] <= turn)]
                top = self._bytes(state.made, state.alive, way[0])[0]
            self._follow(state, way)
            path += way
            peak = max(peak, top)
        return path

    def within(self, limit: int, steps: int, *, leanest: bool) -> tuple[list[int] | None, bool]:
        """An order with at most `limit` bytes alive, and whether the search came to its end.

        It is given up after `steps`.  Of several calls it tries the one first behind which least is
        alive, if `leanest`, or else that of the last operation in the network.
        """
        last = self.steps + steps
        state = self._start()
        path: list[int] = []
        if state.alive > limit:
            return None, True
        self._move(state, limit, path)
        seen: dict[int, tuple[int, list[int]]] = {state.key: (-1, path)}
        stack = [state]
        while stack:
            state = stack.pop()
            if state.key == self._end:
                return _way_to(state.key, seen), True
            branches = []
            for operation in _late_first(state.ready):
                if self.steps >= last:
                    return None, False
                during, after = self._bytes(state.made, state.alive, operation)
                if during > limit:
                    continue
                branch, path = self._behind(state, operation, after), [operation]
                self._move(branch, limit, path)
                if branch.key not in seen:
                    seen[branch.key] = (state.key, path)
                    branches.append(branch)
            branches.reverse()
            if leanest:
                branches.sort(key=lambda branch: -branch.alive)
            stack += branches
        return None, True

    # --- states ------------------------------------------------------------------------------

    def _start(self) -> State:
        ready = sum(1 << op for op, needs in enumerate(self._needs) if needs[0] == ())
        return State([0] * len(self._needs), ready, self._start_bytes, 0)

    def _behind(self, state: State, operation: int, alive: int) -> State:
        self.steps += len(state.made) // _COUNTS_A_STEP
        made = state.made.copy()
        ready = self._make(made, state.ready, operation)
        return State(made, ready, alive, state.key + self._weights[operation])

    def _follow(self, state: State, way: Sequence[int]) -> None:
        for operation in way:
            state.alive = self._bytes(state.made, state.alive, operation)[1]
            state.ready = self._make(state.made, state.ready, operation)
            state.key += self._weights[operation]

    def _make(self, made: list[int], ready: int, operation: int) -> int:
        """Count a call in `made`; the operations that are ready then."""
        turn = made[operation]
        made[operation] = turn + 1
        self.steps += len(self._waiting[operation][turn]) // _COUNTS_A_STEP
        needs = self._needs[operation][turn + 1]
        if needs is None or not _reached(made, needs):
            ready &= ~(1 << operation)
        for other, its_turn, its_needs in self._waiting[operation][turn]:
            if made[other] == its_turn and _reached(made, its_needs):
                ready |= 1 << other
        return ready

    def _bytes(self, made: list[int], alive: int, operation: int) -> tuple[int, int]:
        """Bytes alive during the next call of an operation, and behind it."""
        steps, born, births, dead, deaths, places = self._turns[operation][made[operation]]
        self.steps += steps
        during = alive + born
        for size, counts in births:
            for other, turn in counts:
                if made[other] > turn and other != operation:
                    break
            else:
                during += size
        after = during - dead
        for size, counts in deaths:
            for other, turn in counts:
                if made[other] <= turn and other != operation:
                    break
            else:
                after -= size
        for size, counts in places:
            for other, turn in counts:
                if made[other] <= turn and other != operation:
                    break
            else:
                during -= size
                break
        return during, after

    # --- moves without loss --------------------------------------------------------------------

    def _descend(self, state: State, limit: int, path: list[int]) -> None:
        """All calls behind which no more is alive than before, made as long as there are any."""
        rest = state.ready
        while rest:
            operation = rest.bit_length() - 1
            during, after = self._bytes(state.made, state.alive, operation)
            if after <= state.alive and during <= limit:
                state.ready = self._make(state.made, state.ready, operation)
                state.alive = after
                state.key += self._weights[operation]
                path.append(operation)
                rest = state.ready
            else:
                rest &= ~(1 << operation)

    def _move(self, state: State, limit: int, path: list[int]) -> None:
        """The moves that lose nothing within `limit`, one after the other."""
        while True:
            self._descend(state, limit, path)
            way = self._nearest_way(state, limit)
            if not way:
                return
            self._follow(state, way)
            path += way

    def _nearest_way(self, state: State, limit: int) -> list[int]:
        """The fewest calls behind which no more is alive than now; empty if none are seen."""
        weights = self._weights
        came: dict[int, int] = {state.key: -1}
        queue: deque[tuple[State, int, int]] = deque([(state, -1, state.alive)])
        while queue:
            before, made, alive = queue.popleft()
            here = before if made < 0 else self._behind(before, made, alive)
            for operation in _late_first(here.ready):
                key = here.key + weights[operation]
                if key in came:
                    continue
                during, after = self._bytes(here.made, here.alive, operation)
                if during > limit:
                    continue
                if after <= state.alive:
                    return [*self._way(here.key, came), operation]
                if len(came) < _AHEAD:
                    came[key] = operation
                    queue.append((here, operation, after))
        return []

    def _lowest_way(self, state: State, peak: int) -> tuple[list[int], int]:
        """The calls that lead lowest to where no more is alive than now, and the most on the way.

        What stays below `peak` counts as equally low.
        """
        came: dict[int, int] = {state.key: -1}
        # Highest on the way, alive at its end, turn; the state before the last call, and that call.
        heap: list[tuple[int, int, int, State, int]] = [(peak, 0, 0, state, -1)]
        for _ in range(_AHEAD_OF_CLIMB):
            if not heap:
                break
            top, alive, _, before, made = heapq.heappop(heap)
            here = before if made < 0 else self._behind(before, made, alive)
            if here is not state and here.alive <= state.alive:
                return self._way(here.key, came), top
            for operation in _late_first(here.ready):
                key = here.key + self._weights[operation]
                if key not in came:
                    during, after = self._bytes(here.made, here.alive, operation)
                    came[key] = operation
                    heapq.heappush(heap, (max(top, during), after, len(came), here, operation))
        return [], peak

    def _way(self, key: int, came: dict[int, int]) -> list[int]:
        way = []
        while (operation := came[key]) >= 0:
            way.append(operation)
            key -= self._weights[operation]
        return way[::-1]


def _steps(*groups: _Sized) -> int:
    """The steps that looking at a turn takes."""
    compared = sum(len(counts) for group in groups for _, counts in group)
    return 1 + compared // _COMPARED_A_STEP


def _reached(made: Sequence[int], counts: Counts) -> bool:
    for operation, count in counts:
        if made[operation] < count:
            return False
    return True


@lru_cache(_KEPT_SETS)  # few sets of operations are ready in very many states
def _late_first(ready: int) -> tuple[int, ...]:
    """The operations of some bits, those first that stand last in the network."""
    operations = []
    while ready:
        operations.append(ready.bit_length() - 1)
        ready ^= 1 << operations[-1]
    return tuple(operations)


def _way_to(key: int, seen: dict[int, tuple[int, list[int]]]) -> list[int]:
    paths = []
    while key >= 0:
        key, path = seen[key]
        paths.append(path)
    return [operation for path in reversed(paths) for operation in path]
