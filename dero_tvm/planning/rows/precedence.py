"""What every order of the calls of a network has in common: which call waits for which others.

A call that reads a row waits for the calls that wrote it: of several, as the slices of a
concatenation have them, for those that come before it in the given order.  The calls of a reduction
read the partial results that the one before has left, so each waits for it.  Rows that the
application hands over (calls that read nothing) come in their sequence.  Nothing else is taken from
the given order: what waits for more in a program, because a row is written again or an operation
makes its rows in sequence, may run earlier here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..problem import BufferKind
from .problem import RowProblem, RowRange

Row = tuple[int, int]
"""Number of the tensor, number of the row."""


@dataclass(frozen=True)
class RowLife:
    """A row lives from the first of its `writers` to the last of its `accesses`.

    Both are numbers of calls; writers are among the accesses.  A row that is there from the start
    has None as writers, one that stays to the end has None as accesses.
    """

    row_bytes: int
    writers: tuple[int, ...] | None
    accesses: tuple[int, ...] | None


class Precedence:
    """Calls and rows of `problem` without the order in which the calls are given.

    `direct` has for each call those that it waits for itself, `ancestors` all that come before it
    in every order, and `descendants` all that come behind it, as sets of bits.  With `sequences`,
    every operation makes its rows one after the other as it does in `problem`.  Of each pair in
    `before` the second waits for the first, too.
    """

    def __init__(
        self,
        problem: RowProblem,
        *,
        sequences: bool = False,
        before: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.problem = problem
        self.count = len(problem.calls)
        self._writers: dict[Row, list[int]] = {}
        self._accesses: dict[Row, list[int]] = {}
        self._collect()
        self.direct = self._waits(sequences)
        for first, second in before:
            self.direct[second].add(first)
        self.ancestors = ancestors_of(self.direct)
        behind: list[list[int]] = [[] for _ in self.direct]
        for call, waits in enumerate(self.direct):
            for earlier in waits:
                behind[earlier].append(call)
        self.descendants = ancestors_of(behind)
        self.rows = dict(self._lives())

    def calls_in(self, bits: int) -> np.ndarray:
        """A set of bits as one boolean for each call."""
        packed = np.frombuffer(bits.to_bytes(self.count // 8 + 1, "little"), np.uint8)
        return np.unpackbits(packed, bitorder="little")[: self.count].astype(bool)

    def _collect(self) -> None:
        for time, call in enumerate(self.problem.calls):
            for row in each_row(call.writes):
                self._writers.setdefault(row, []).append(time)
            for row in {*each_row(call.reads), *each_row(call.writes)}:
                self._accesses.setdefault(row, []).append(time)

    def _waits(self, sequences: bool) -> list[set[int]]:
        direct: list[set[int]] = [set() for _ in range(self.count)]
        reads = [set(each_row(call.reads)) for call in self.problem.calls]
        last: dict[tuple[int, int], int] = {}
        for time, call in enumerate(self.problem.calls):
            for row in reads[time]:
                for writer in reversed(self._writers.get(row, ())):
                    if writer < time:
                        direct[time].add(writer)
                        if row in reads[writer]:  # which waits for those before it
                            break
            name = (call.step, call.operation)
            if name in last and (sequences or not call.reads):
                direct[time].add(last[name])
            last[name] = time
        return direct

    def _lives(self) -> Iterator[tuple[Row, RowLife]]:
        for number, tensor in enumerate(self.problem.tensors):
            given = tensor.kind is BufferKind.INPUT
            stays = tensor.kind is BufferKind.OUTPUT or (given and self.problem.keep_inputs)
            for row in range(tensor.rows):
                writers = self._writers.get((number, row), ())
                accesses = self._accesses.get((number, row), ())
                if given or writers:
                    yield (
                        (number, row),
                        RowLife(
                            tensor.row_bytes,
                            None if given else tuple(writers),
                            None if stays else tuple(accesses),
                        ),
                    )


def each_row(ranges: Iterable[RowRange]) -> Iterator[Row]:
    """The rows of some ranges one by one."""
    for rows in ranges:
        for row in range(rows.first, rows.end):
            yield rows.tensor, row


def ancestors_of(direct: Sequence[Collection[int]]) -> list[int]:
    """All calls that each waits for, as sets of bits; `direct` has those that it waits for itself.

    Of calls that wait for each other, nothing is said.
    """
    waiting = [len(calls) for calls in direct]
    behind: list[list[int]] = [[] for _ in direct]
    for call, calls in enumerate(direct):
        for earlier in calls:
            behind[earlier].append(call)
    ancestors = [0] * len(direct)
    ready = [call for call, count in enumerate(waiting) if not count]
    while ready:
        call = ready.pop()
        with_itself = ancestors[call] | 1 << call
        for later in behind[call]:
            ancestors[later] |= with_itself
            waiting[later] -= 1
            if not waiting[later]:
                ready.append(later)
    return ancestors


def bits_of(calls: Iterable[int]) -> int:
    """A set of calls as bits."""
    bits = 0
    for call in calls:
        bits |= 1 << call
    return bits
