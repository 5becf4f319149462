"""What no order of the calls of a network can go below, whatever the addresses.

When call v runs, some set I of calls is finished.  I holds with each call those that it waits for,
all that v waits for, and not v.  With f(I) the bytes of the rows that a call of I has made (or that
are there from the start) and that a call outside of I uses (or that stay to the end),

    peak >= max over v of ( min over such I of f(I) + what v makes and uses - what it takes over )

where v takes over a row that it may write its own over, if I holds all others that use that row.
f is submodular and the inner minimum a minimum cut (`cut`).  Besides, some call is the first one,
with I empty, and some call the last one:

    peak >= min over v that wait for none of the bytes alive while v runs behind an empty I,

and the same for I with all calls but v.

**The orders** are those in which every call waits for what `precedence` names: for the calls that
wrote the rows that it reads and, if it takes a row from the application, for the one before.  An
operation may make its rows in any sequence; with `sequences` it keeps the one of `problem`, and the
bound holds for orders in which all do.  Nothing else of the given order matters for the bound.  It
does not hold for another choice of kernels or in-place operands, or where rows are made twice.

Few calls need a cut.  What is alive while v runs in any order at all is an upper bound of the inner
minimum, and so is what is alive with the finished calls of another call's cut, made fit for v.
Calls are looked at in descending sequence of these upper bounds, down to the greatest minimum that
was found.  Should that take too much work, this greatest one stands: it is a bound as well.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from ..planning_error import PlanError
from .cut import CutNetwork
from .precedence import Precedence
from .problem import RowProblem

CALLS = 10_000
"""The most calls for which a bound is computed."""

_GREATEST_FLOW = 2**31 - 2  # what SciPy counts in
_KEPT_SETS = 48
_NODES = 800_000  # of all cuts together: some ten seconds; no network of the benchmarks takes half
_SETS_A_CUT = 128  # sets that are tried in the time of a cut, about


@dataclass(frozen=True)
class RowBound:
    """Bytes that every order needs at least; None, with the reason, if they are not known."""

    bytes: int | None
    reason: str = ""


def bound_of(problem: RowProblem, limit: int = CALLS, *, sequences: bool = False) -> RowBound:
    """The bytes below which no order of the calls of `problem` can go; None above `limit` calls.

    With `sequences`: no order in which every operation makes its rows in the sequence of `problem`.
    """
    if len(problem.calls) > limit:
        return RowBound(None, f"{len(problem.calls):,} rows, more than {limit:,}")
    if sum(tensor.bytes for tensor in problem.tensors) > _GREATEST_FLOW:
        return RowBound(None, "rows of more than 2 GiB")
    if not problem.calls:
        return RowBound(0)
    return RowBound(_Search(Precedence(problem, sequences=sequences)).run())


def against_bound(arena_bytes: int, bound: RowBound, in_sequence: RowBound | None = None) -> str:
    """What can be said of a plan: whether another order could need less, and by how much.

    `in_sequence` is the bound of its orders with `sequences`.  Raises ``PlanError`` for a plan that
    is below a bound: one of the two is wrong.
    """
    if bound.bytes is None:
        return f"bound not computed: {bound.reason}"
    known = [b.bytes for b in (bound, in_sequence) if b is not None and b.bytes is not None]
    if arena_bytes < max(known):
        raise PlanError(f"a plan of {arena_bytes:,} bytes is below the bound of {max(known):,}")
    above = arena_bytes - bound.bytes
    if above == 0:
        return "no order of rows needs less"
    share = 100 * above / bound.bytes if bound.bytes else 100
    text = f"at most {above:,} bytes ({share:.1f} %) above what any order of rows needs"
    if arena_bytes == max(known):
        return f"{text}, and no order that makes each tensor's rows in this sequence needs less"
    return text


class _Search:
    def __init__(self, precedence: Precedence) -> None:
        self.precedence = precedence
        self.network = CutNetwork(precedence)
        self.sets: list[np.ndarray] = []  # finished calls of the latest cuts
        self.cuts = 0
        self.work = 0.0  # in cuts
        self.tried: dict[int, int] = {}  # how many cuts there were when a call was looked at last

    def run(self) -> int:
        best = max(self._first(), self._last())
        upper, times = self._in_given_order()
        queue: list[tuple[float, int]] = [(-height, call) for call, height in enumerate(upper)]
        heapq.heapify(queue)
        while queue and -queue[0][0] > best and self.work * self.network.nodes < _NODES:
            height, call = heapq.heappop(queue)
            tighter = self._with_known_sets(call, times[call], best)
            if tighter < -height:
                heapq.heappush(queue, (-tighter, call))
                continue
            cut = self.network.least(call)
            best = max(best, cut.bytes)
            self.sets = [*self.sets[1 - _KEPT_SETS :], cut.finished]
            self.cuts += 1
            self.work += 1
        return best

    def _first(self) -> int:
        """What the first call needs, whichever it is."""
        none = np.zeros(self.precedence.count, bool)
        unused = sum(
            life.row_bytes for life in self.precedence.rows.values() if life.accesses == ()
        )
        first = [call for call, bits in enumerate(self.precedence.ancestors) if not bits]
        return unused + min(self.network.live_during(call, none) for call in first)

    def _last(self) -> int:
        """What the last call needs, whichever it is."""
        count = self.precedence.count
        last = [call for call, bits in enumerate(self.precedence.descendants) if not bits]
        return min(self.network.live_during(call, np.arange(count) != call) for call in last)

    def _in_given_order(self) -> tuple[list[int], list[int]]:
        """For each call an upper bound of what it needs, and when in the given order it needs that.

        It could run from when the last that it waits for is finished.
        """
        live = self.network.live_in_given_order()
        upper, times = [], []
        for call, waits in enumerate(self.precedence.direct):
            ready = max(waits, default=-1) + 1
            times.append(ready + int(np.argmin(live[ready : call + 1])))
            upper.append(int(live[times[-1]]) + self.network.made_by(call))
        return upper, times

    def _with_known_sets(self, call: int, time: int, best: int) -> float:
        """The least that `call` needs with sets that it was not tried with, made fit for it."""
        known = self.precedence
        new = self.cuts - self.tried.get(call, 0)
        sets = self.sets[max(len(self.sets) - new, 0) :]
        if call not in self.tried:
            sets = [np.arange(known.count) < time, *sets]
        self.tried[call] = self.cuts
        before = known.calls_in(known.ancestors[call])
        behind = known.calls_in(known.descendants[call] | 1 << call)
        least = math.inf
        for finished in reversed(sets):
            self.work += 1 / _SETS_A_CUT
            least = min(least, self.network.live_during(call, (finished | before) & ~behind))
            if least <= best:
                break
        return least
