"""A bound over all orders by cases: of two rows of a tensor, one or the other is made first.

The cut of one call (`bound`) may finish rows of a tensor out of their sequence: it is the least for
that call, but no order may come by there.  Of two such rows every order makes one first.  In either
case one call waits for one more, the cuts have fewer sets to choose from, and the lesser of the two
bounds is one for all orders.  The case with the least bound is divided further, until that is the
bound that is wanted, or the work is spent: the least of all cases is a bound at any time.

Cuts are made only for calls at which much is alive in the given order.  A case has fewer sets to
choose from than the one that it is part of: a cut of that one which the new pair leaves as it is,
is still the least, so most cuts are made once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .bound import RowBound
from .cut import Cut, CutNetwork
from .precedence import Precedence
from .problem import RowProblem

_HOT = 12  # calls that are looked at in each case, besides those that it is about
_NODES = 400_000  # of all cuts together, and of building their networks
_NETWORK = 8  # cuts that are made in the time of building a network, about

_Pair = tuple[int, int]


def raised(problem: RowProblem, bound: RowBound, wanted: int) -> RowBound:
    """`bound`, of all orders of the calls of `problem`, as far as it can be raised to `wanted`."""
    if bound.bytes is None or bound.bytes >= wanted:
        return bound
    return RowBound(max(bound.bytes, _Cases(problem, wanted).least()))


@dataclass(order=True)
class _Case:
    """The orders in which the first of each pair of calls comes before the second."""

    bytes: int  # no such order needs less
    number: int
    pairs: tuple[_Pair, ...] = field(compare=False)
    undecided: _Pair | None = field(compare=False)  # what to divide it by
    cuts: dict[int, Cut] = field(compare=False)  # by calls


class _Cases:
    def __init__(self, problem: RowProblem, wanted: int) -> None:
        self.problem, self.wanted = problem, wanted
        self.operations: dict[tuple[int, int], list[int]] = {}
        for number, call in enumerate(problem.calls):
            self.operations.setdefault((call.step, call.operation), []).append(number)
        network = CutNetwork(Precedence(problem))
        live = network.live_in_given_order()
        during = [int(live[call]) + network.made_by(call) for call in range(len(problem.calls))]
        self.hot = sorted(range(len(during)), key=lambda call: -during[call])[:_HOT]
        self.work = 0
        self.count = 0

    def least(self) -> int:
        """What no order needs less than: `wanted`, or what is known when the search ends."""
        cases = [self._case((), (), 0, {})]
        while cases[0].bytes < self.wanted and self.work < _NODES:
            case = cases[0]
            if case.undecided is None:
                break
            heapq.heappop(cases)
            first, second = case.undecided
            for pair in ((first, second), (second, first)):
                part = self._case((*case.pairs, pair), pair, case.bytes, case.cuts)
                heapq.heappush(cases, part)
        return min(cases[0].bytes, self.wanted)

    def _case(
        self, pairs: tuple[_Pair, ...], about: Sequence[int], least: int, known: dict[int, Cut]
    ) -> _Case:
        """A case that is part of one with the bound `least` and the cuts `known`.

        Its last pair is new.
        """
        precedence = Precedence(self.problem, before=pairs)
        network = CutNetwork(precedence)
        self.work += _NETWORK * network.nodes
        greatest, undecided = -1, None
        cuts: dict[int, Cut] = {}
        for call in dict.fromkeys((*about, *self.hot)):
            cut = known.get(call)
            if cut is None or not still_fits(cut, call, precedence, pairs[-1]):
                cut = network.least(call)
                self.work += network.nodes
            cuts[call] = cut
            if cut.bytes > greatest:
                greatest = cut.bytes
                undecided = next(self._out_of_sequence(precedence, cut.finished), None)
            if greatest >= self.wanted:
                break
        self.count += 1
        return _Case(max(least, greatest), self.count, pairs, undecided, cuts)

    def _out_of_sequence(self, precedence: Precedence, finished: np.ndarray) -> Iterator[_Pair]:
        """Calls of one operation that are not finished, each with a finished one behind it.

        Only those of which it is not known which comes first.
        """
        for calls in self.operations.values():
            done = finished[calls]
            for turn in np.flatnonzero(~done[:-1] & done[1:]):
                first, second = calls[turn], calls[turn + 1]
                if not precedence.ancestors[first] >> second & 1:
                    yield first, second


def still_fits(cut: Cut, call: int, precedence: Precedence, new: _Pair) -> bool:
    """Whether what is finished in the cut of `call` may be so if the pair `new` is in sequence."""
    first, second = new
    finished = cut.finished
    if finished[second] and not finished[first]:
        return False
    before = precedence.calls_in(precedence.ancestors[call])
    behind = precedence.calls_in(precedence.descendants[call])
    return bool(finished[before].all() and not finished[behind].any())
