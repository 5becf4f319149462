"""An execution order with the least peak of live bytes.

The states are the sets of steps already run (down-sets of the dependency graph), and the search
for the path with the least maximum is Dijkstra's, with the maximum in place of the sum.  Two
things keep the number of states small:

* a lower bound for every order (`bounds.unavoidable_bytes`): below it all peaks are equal;
* safe moves: if a sequence of steps can run now without a step above the peak that is certain
  already, and leaves no more bytes held than before, it runs at once and nothing else is tried.

Why a safe move loses nothing.  Take the best continuation that runs the sequence's steps later,
and pull them to the front.  Let the sequence be the shortest with no more bytes held at its end,
so that more are held after each of its proper prefixes.  Bytes held are a submodular function of
the set of steps run: a step frees at least as much, and brings to life at most as much, when
more steps have run before it.  So at every point of the continuation, having the rest of the
sequence behind us holds no more than not having it, every other step costs at most what it
did, and the sequence's own steps are below the certain peak.  The argument needs that no
sequence step can take over the birth of a buffer from another step (an overlap constraint might
depend on it), so steps that give birth to a buffer of several writers are never part of one.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

from .bounds import peak, unavoidable_bytes
from .budget import Budget
from .graph import bits
from .memory_state import MemoryState
from .problem import Options, Problem

NODES_PER_SECOND = 8_000
COSTS_PER_SECOND = 200_000  # of steps, one after another
SHARE = 0.5  # of the time limit
BEAM_WIDTH = 32
MOST_BEAM_COSTS = 200_000  # of steps: hundreds of steps, a dozen of which may run at any time
LONGEST_SAFE_SEQUENCE = 12


@dataclass(frozen=True)
class Order:
    """An order of steps, its peak of live bytes and what is proven about it."""

    steps: tuple[int, ...]
    peak: int  # bytes
    proof: str
    written_peak: int  # bytes; the peak of the written order


class _Node(NamedTuple):  # thousands are made a second
    """A state of the search and how it was reached."""

    done: int
    ready: int
    held: int
    parent: _Node | None
    path: tuple[int, ...]  # steps run since the parent

    def order(self) -> tuple[int, ...]:
        parts: list[tuple[int, ...]] = []
        node: _Node | None = self
        while node is not None:
            parts.append(node.path)
            node = node.parent
        return tuple(step for part in reversed(parts) for step in part)


def find_order(problem: Problem, options: Options, budget: Budget) -> Order:
    """The order with the least peak; the written order if none has a smaller one.

    Stops at the budget's limit with the best order found so far, which is never worse than the
    written one.
    """
    written = tuple(range(len(problem.steps)))
    state = MemoryState(problem, options)
    written_peak = peak(problem, written, options)
    bound = max(unavoidable_bytes(problem, state.graph, options), default=0)
    if written_peak <= bound:
        return Order(written, written_peak, "proven optimal", written_peak)
    if not options.reorder:
        return Order(written, written_peak, "written order", written_peak)
    search = _Search(state, bound, budget)
    found, exhausted = search.run(limit=written_peak)
    if exhausted:
        if found is None:
            return Order(written, written_peak, "proven optimal", written_peak)
        return Order(found, peak(problem, found, options), "proven optimal", written_peak)
    beam = _beam(state, written_peak)
    if beam is not None:
        beam_peak = peak(problem, beam, options)
        if beam_peak < written_peak:
            proof = f"best found with a time limit of {options.time_limit:g} s"
            return Order(beam, beam_peak, proof, written_peak)
    proof = f"written order, none better found with a time limit of {options.time_limit:g} s"
    return Order(written, written_peak, proof, written_peak)


class _Search:
    """Dijkstra's algorithm over sets of steps for the least maximum."""

    def __init__(self, state: MemoryState, bound: int, budget: Budget):
        self.state = state
        self.bound = bound
        self.nodes = budget.nodes(NODES_PER_SECOND, SHARE)
        self.budget = budget.part(SHARE)
        self.visited = 0

    def run(self, limit: int) -> tuple[tuple[int, ...] | None, bool]:
        """An order with the least peak below `limit` (None if none), and whether that is certain.

        Among states of equal peak the one with most steps run goes first, and among those the
        one that comes first in written order.
        """
        state = self.state
        everything = (1 << len(state.touched)) - 1
        root = _Node(0, state.initially_ready(), state.initial_bytes, None, ())
        root = self._advance(root, self.bound)
        serial = 0
        heap = [(self.bound, -root.done.bit_count(), serial, root)]
        best = {root.done: self.bound}
        closed: set[int] = set()
        while heap:
            highest, _, _, node = heapq.heappop(heap)
            if node.done == everything:
                return node.order(), True
            if node.done in closed:
                continue
            closed.add(node.done)
            self.visited += 1
            if self.visited > self.nodes or self.budget.expired():
                return None, False
            for step in bits(node.ready):
                self.budget.spend(1, COSTS_PER_SECOND)
                alive, held = state.cost(node.done, node.held, step)
                reached = max(highest, alive)
                if reached >= limit:
                    continue
                done = node.done | 1 << step
                if best.get(done, limit) <= reached:
                    continue
                best[done] = reached
                child = _Node(done, state.ready_after(done, node.ready, step), held, node, (step,))
                child = self._advance(child, reached)
                if self.budget.expired():
                    return None, False
                if child.done != done:
                    if best.get(child.done, limit) <= reached:
                        continue
                    best[child.done] = reached
                serial += 1
                heapq.heappush(heap, (reached, -child.done.bit_count(), serial, child))
        return None, True

    def _advance(self, node: _Node, certain: int) -> _Node:
        """Run safe sequences until there is none, or the budget is spent."""
        path = list(node.path)
        done, ready, held = node.done, node.ready, node.held
        while not self.budget.expired():
            for step in bits(ready):
                sequence = self._safe_sequence(done, ready, held, step, certain)
                if sequence is not None:
                    taken, done, ready, held = sequence
                    path += taken
                    break
            else:
                break
        return _Node(done, ready, held, node.parent, tuple(path))

    def _safe_sequence(
        self, done: int, ready: int, held: int, step: int, certain: int
    ) -> tuple[list[int], int, int, int] | None:
        """A safe sequence that begins with `step` and goes on through steps it makes ready."""
        state = self.state
        start = held
        fresh = 0  # steps made ready by the sequence
        taken: list[int] = []
        while True:
            if not state.mergeable[step]:
                return None
            alive, held = state.cost(done, held, step)
            self.budget.spend(1, COSTS_PER_SECOND)
            if alive > certain:
                return None
            taken.append(step)
            done |= 1 << step
            before = ready
            ready = state.ready_after(done, ready, step)
            if held <= start:
                return taken, done, ready, held
            fresh = (fresh | (ready & ~before)) & ready
            if not fresh or len(taken) == LONGEST_SAFE_SEQUENCE:
                return None
            step = min(bits(fresh), key=lambda s: (state.cost(done, held, s)[1], s))


def _beam(state: MemoryState, limit: int) -> tuple[int, ...] | None:
    """An order with a peak below `limit` from a beam search over sets of equally many steps.

    None as well where so many steps may run at any time that the search would not end soon.
    """
    root = _Node(0, state.initially_ready(), state.initial_bytes, None, ())
    beam: list[tuple[int, int, _Node]] = [(0, root.held, root)]
    costs = 0
    for _ in range(len(state.touched)):
        costs += sum(node.ready.bit_count() for _, _, node in beam)
        if costs > MOST_BEAM_COSTS:
            return None
        candidates: dict[int, tuple[int, int, int, _Node, int]] = {}
        for highest, _, node in beam:
            for step in bits(node.ready):
                alive, held = state.cost(node.done, node.held, step)
                reached = max(highest, alive)
                done = node.done | 1 << step
                if reached >= limit or (done in candidates and candidates[done][0] <= reached):
                    continue
                candidates[done] = (reached, held, done, node, step)
        if not candidates:
            return None
        beam = []
        for reached, held, done, node, step in heapq.nsmallest(BEAM_WIDTH, candidates.values()):
            ready = state.ready_after(done, node.ready, step)
            beam.append((reached, held, _Node(done, ready, held, node, (step,))))
    return beam[0][2].order()
