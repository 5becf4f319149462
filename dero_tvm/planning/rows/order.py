"""The best order of all calls that is found, starting from the demand-driven one.

Rows are made in the sequence that the problem has them in, or all ascending: cascades that run back
and forth save memory one after the other, but cannot run into each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..budget import Budget
from .bound import bound_of
from .call_graph import CallGraph
from .lives import lives_of
from .order_search import OrderSearch
from .precedence import each_row
from .problem import RowProblem

STEPS_PER_SECOND = 300_000
_ROUNDS = ((150_000, 16), (500_000, 64))
"""Steps that one search may take, and the part of the peak by which it first wants less."""

_STEPS_A_CALL = 4_000  # of all searches over one graph
_MOST_STEPS = 500_000  # likewise
_CLIMB = 1 / 2  # the part of them that the first, quick search may take
_OTHERS = ((100_000, True), (500_000, False))
"""Steps that are taken to find orders beside the best, and whether the leanest call goes first."""

_MOST_ORDERS = 3  # that are placed
_FINE = 1_000  # differences are not looked for that are smaller than one part of so many

_Key = tuple[int, int]  # step and operation


def operations_of(problem: RowProblem) -> dict[_Key, list[int]]:
    """The numbers of each operation's calls, in order of execution."""
    sequences: dict[_Key, list[int]] = {}
    for number, call in enumerate(problem.calls):
        sequences.setdefault((call.step, call.operation), []).append(number)
    return sequences


def good_orders(problem: RowProblem, budget: Budget, below: int | None = None) -> list[RowProblem]:
    """`problem` with its calls in other orders, that with the least alive at once first.

    In all of them less is alive than in its own order, and than `below` bytes.
    """
    own = lives_of(problem).peak
    peak = wanted = own if below is None else min(own, below)
    least = bound_of(problem).bytes or 0
    if wanted <= least:
        return []
    steps = budget.nodes(STEPS_PER_SECOND)
    found: dict[tuple[int, ...], int] = {}  # peaks
    for graph, start in _graphs(problem):
        search = _Search(graph, start, steps)
        search.run(peak, least)
        found |= search.found
        peak = min(found.values(), default=peak)
    orders = sorted(found, key=found.__getitem__)[:_MOST_ORDERS]
    return [_in_order(problem, order) for order in orders]


def other_orders(problem: RowProblem, peak: int, budget: Budget) -> list[RowProblem]:
    """`problem` with its calls in orders with at most `peak` bytes alive, other than the first.

    What is alive does not tell how well the rows find places: in some orders that much is alive all
    the time, in others seldom.
    """
    found: dict[tuple[int, ...], None] = {}
    for graph, _ in _graphs(problem):
        for steps, leanest in _OTHERS:
            steps = min(steps, budget.nodes(STEPS_PER_SECOND))
            operations, _ = OrderSearch(graph).within(peak, steps, leanest=leanest)
            if operations is not None:
                found[tuple(graph.order_of(operations))] = None
    return [_in_order(problem, order) for order in found]


def _graphs(problem: RowProblem) -> list[tuple[CallGraph, Sequence[int]]]:
    """The graphs that are searched, with the order that each search starts from."""
    given = CallGraph(problem, list(operations_of(problem).values()))
    ascending = _ascending(problem)
    start: Sequence[int] = range(len(problem.calls))
    return [(given, start), *([] if ascending is None else [ascending])]


def _in_order(problem: RowProblem, order: Sequence[int]) -> RowProblem:
    return replace(problem, calls=tuple(problem.calls[number] for number in order))


class _Search:
    """Searches over one graph that take about `most` steps; `start` is a good order of its calls.

    `found` has orders, as numbers of calls, and the bytes alive at once in them.
    """

    def __init__(self, graph: CallGraph, start: Sequence[int], most: int) -> None:
        self.found: dict[tuple[int, ...], int] = {}
        self.graph = graph
        self.start = start
        self.search = OrderSearch(graph)
        self.most = min(_STEPS_A_CALL * sum(graph.lengths), _MOST_STEPS, most)

    def run(self, peak: int, least: int) -> None:
        """Look for orders with less than `peak` bytes alive; none has less than `least`."""
        climbed = self.search.climb(self.graph.turns_of(self.start), int(_CLIMB * self.most))
        peak = self._taken(climbed, peak)
        for steps, part in _ROUNDS:
            gap, given_up = max(peak // part, 1), least - 1
            while gap > peak // _FINE and peak > least and self.search.steps < self.most:
                limit = max(peak - gap, least)
                if limit <= given_up:
                    gap //= 2
                    continue
                operations, ended = self._within(limit, steps)
                before = peak
                if operations is not None:
                    peak = self._taken(operations, peak)
                if peak == before:
                    given_up = limit
                    least = limit + 1 if ended else least
                gap = 2 * gap if peak < before else gap // 2

    def _taken(self, operations: Sequence[int], peak: int) -> int:
        """The peak of an order, which is kept if it is below `peak`, or else that."""
        order = tuple(self.graph.order_of(operations))
        found = lives_of(_in_order(self.graph.problem, order)).peak
        if found < peak:
            self.found[order] = found
        return min(found, peak)

    def _within(self, limit: int, steps: int) -> tuple[list[int] | None, bool]:
        """What one of two searches finds: some networks want this one, some that."""
        operations, ended = None, False
        for leanest in (True, False):
            left = max(self.most - self.search.steps, 0)
            operations, ended = self.search.within(limit, min(steps, left), leanest=leanest)
            if operations is not None or ended:
                break
        return operations, ended


def _ascending(problem: RowProblem) -> tuple[CallGraph, Sequence[int]] | None:
    """The graph with all rows ascending and its demand-driven order.

    None if they are so already, or cannot be.
    """
    written = Counter(row for call in problem.calls for row in each_row(call.writes))
    sequences, turned = [], False
    for sequence in operations_of(problem).values():
        calls = [problem.calls[number] for number in sequence]
        once = all(written[row] == 1 for call in calls for row in each_row(call.writes))
        if once and calls[0].row > calls[-1].row:
            sequence.reverse()
            turned = True
        sequences.append(sequence)
    if not turned:
        return None
    graph = CallGraph(problem, sequences)
    order = graph.demand_driven()
    return None if order is None else (graph, order)
