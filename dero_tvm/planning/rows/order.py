"""The best order of all calls that is found, starting from the demand-driven one.

Rows are made in the sequence that the problem has them in, or all ascending: cascades that run back
and forth save memory one after the other, but cannot run into each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..budget import Budget
from .call_graph import CallGraph, rows_in
from .lives import lives_of
from .order_search import OrderSearch
from .problem import RowProblem

STEPS_PER_SECOND = 300_000
_ROUNDS = ((150_000, 16), (500_000, 64))
"""Steps that one search may take, and the part of the peak by which it first wants less."""

_STEPS_A_CALL = 4_000  # of all searches over one graph
_MOST_STEPS = 2_000_000  # likewise
_FINE = 1_000  # differences are not looked for that are smaller than one part of so many

_Key = tuple[int, int]  # step and operation


def operations_of(problem: RowProblem) -> dict[_Key, list[int]]:
    """The numbers of each operation's calls, in order of execution."""
    sequences: dict[_Key, list[int]] = {}
    for number, call in enumerate(problem.calls):
        sequences.setdefault((call.step, call.operation), []).append(number)
    return sequences


def best_order(problem: RowProblem, budget: Budget, at_least: int = 0) -> RowProblem:
    """`problem` with its calls in the order with the least alive at once that is found.

    It is the same problem if none is better.  No order has less than `at_least` bytes alive.
    """
    best, peak = problem, lives_of(problem).peak
    given = CallGraph(problem, list(operations_of(problem).values()))
    start: Sequence[int] = range(len(problem.calls))
    variants = [(given, start)]
    ascending = _ascending(problem)
    if ascending is not None:
        variants.append(ascending)
    for graph, start in variants:
        found = _Search(graph, start, budget.nodes(STEPS_PER_SECOND)).run(peak, at_least)
        if found is not None:
            best = replace(problem, calls=tuple(problem.calls[number] for number in found))
            peak = lives_of(best).peak
    return best


class _Search:
    """What is found over one graph; `start` is a good order of its calls."""

    def __init__(self, graph: CallGraph, start: Sequence[int], most: int) -> None:
        self.graph = graph
        self.start = start
        self.search = OrderSearch(graph)
        self.most = min(_STEPS_A_CALL * sum(graph.lengths), _MOST_STEPS, most)

    def run(self, peak: int, at_least: int) -> list[int] | None:
        """Numbers of calls in an order with less than `peak` bytes alive; None if none is found."""
        best = None

        def take(operations: Sequence[int]) -> None:
            nonlocal best, peak
            order = self.graph.order_of(operations)
            problem = self.graph.problem
            calls = tuple(problem.calls[number] for number in order)
            found = lives_of(replace(problem, calls=calls)).peak
            if found < peak:
                best, peak = order, found

        if peak > at_least:
            take(self.search.climb(self.graph.turns_of(self.start)))
        least = max(self.graph.least_bytes(), at_least)  # no order has less
        for steps, part in _ROUNDS:
            gap, given_up = peak // part, least - 1
            while gap > peak // _FINE and peak > least and self.search.steps < self.most:
                limit = max(peak - gap, least)
                if limit <= given_up:
                    gap //= 2
                    continue
                operations, ended = self._within(limit, steps)
                before = peak
                if operations is not None:
                    take(operations)
                if peak == before:
                    given_up = limit
                    least = limit + 1 if ended else least
                gap = 2 * gap if peak < before else gap // 2
        return best

    def _within(self, limit: int, steps: int) -> tuple[list[int] | None, bool]:
        """What one of two searches finds: some networks want this one, some that."""
        for leanest in (True, False):
            operations, ended = self.search.within(limit, steps, leanest=leanest)
            if operations is not None or ended:
                break
        return operations, ended


def _ascending(problem: RowProblem) -> tuple[CallGraph, Sequence[int]] | None:
    """The graph with all rows ascending and its demand-driven order.

    None if they are so already, or cannot be.
    """
    written = Counter(row for call in problem.calls for row in rows_in(call.writes))
    sequences, turned = [], False
    for sequence in operations_of(problem).values():
        calls = [problem.calls[number] for number in sequence]
        once = all(written[row] == 1 for call in calls for row in rows_in(call.writes))
        if once and calls[0].row > calls[-1].row:
            sequence.reverse()
            turned = True
        sequences.append(sequence)
    if not turned:
        return None
    graph = CallGraph(problem, sequences)
    order = graph.demand_driven()
    return None if order is None else (graph, order)
