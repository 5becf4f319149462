"""The calls of a row problem as a graph: what each waits for, and how it changes what is alive.

An operation has its calls in a fixed sequence, so that a state of a run is how many calls each of
them has made.  What is alive follows from the state alone, whatever the order that led there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_

from ..problem import BufferKind
from .precedence import Row, ancestors_of, bits_of, each_row
from .problem import Call, RowProblem

Counts = tuple[tuple[int, int], ...]  # operations, each with a number of calls
_Place = tuple[int, int]  # operation and turn
_Table = defaultdict[_Place, list[tuple[int, Counts]]]


@dataclass(frozen=True)
class Turn:
    """What the call that an operation makes next does to what is alive, in bytes.

    Rows are born unless another operation has exceeded its count in `births`, and die if all others
    have theirs in `deaths`; likewise the place of one in `places` can be taken.
    """

    born: int  # without any condition
    births: tuple[tuple[int, Counts], ...]
    dead: int
    deaths: tuple[tuple[int, Counts], ...]
    places: tuple[tuple[int, Counts], ...]


class CallGraph:
    """The calls of `problem` in `sequences`, one an operation, of numbers of calls.

    The order of execution of `problem` says which of two calls that share a row comes first.
    """

    def __init__(self, problem: RowProblem, sequences: Sequence[Sequence[int]]) -> None:
        self.problem = problem
        self.sequences = sequences
        self.lengths = [len(sequence) for sequence in sequences]
        self._where = {
            call: (operation, turn)
            for operation, sequence in enumerate(sequences)
            for turn, call in enumerate(sequence)
        }
        touched = _Touched(problem.calls)
        # Rows of an input that nobody reads are gone behind the first call, whichever that is.
        self.start_bytes = sum(
            tensor.row_bytes * (row in touched.last or problem.keep_inputs)
            for number, tensor in enumerate(problem.tensors)
            if tensor.kind is BufferKind.INPUT
            for row in ((number, index) for index in range(tensor.rows))
        )
        self.needs = self._needs(touched.earlier)
        self.turns = self._turns(touched)

    def order_of(self, operations: Iterable[int]) -> list[int]:
        """Numbers of the calls, if the operations take their turns like this."""
        made = [0] * len(self.sequences)
        order = []
        for operation in operations:
            order.append(self.sequences[operation][made[operation]])
            made[operation] += 1
        return order

    def turns_of(self, order: Iterable[int]) -> list[tuple[int, int]]:
        """The operations and turns of some calls."""
        return [self._where[call] for call in order]

    def demand_driven(self) -> list[int] | None:
        """The calls in the order in which the last operations of the cascades ask for them.

        None if calls wait for each other.
        """
        made = [0] * len(self.sequences)
        order: list[int] = []
        steps = [self.problem.calls[sequence[0]].step for sequence in self.sequences]
        finals = sorted(range(len(steps)), key=lambda i: (steps[i], -max(self.sequences[i])))
        for final in finals:
            asked = {final: self.lengths[final]}  # those that wait, each for the next
            while asked:
                operation = next(reversed(asked))
                if made[operation] >= asked[operation]:
                    del asked[operation]
                    continue
                for other, count in self.needs[operation][made[operation]]:
                    if made[other] < count:
                        if other in asked:
                            return None
                        asked[other] = count
                        break
                else:
                    order.append(self.sequences[operation][made[operation]])
                    made[operation] += 1
        return order

    def _needs(self, earlier: Sequence[set[int]]) -> list[list[Counts]]:
        """What each turn waits for, of which its operation has not waited before."""
        needs = []
        for operation, sequence in enumerate(self.sequences):
            known: dict[int, int] = {}
            turns = []
            for call in sequence:
                new: dict[int, int] = {}
                for other, turn in (self._where[conflict] for conflict in earlier[call]):
                    if other != operation and turn >= known.get(other, 0):
                        new[other] = known[other] = turn + 1
                turns.append(tuple(sorted(new.items())))
            needs.append(turns)
        return needs

    def _turns(self, touched: _Touched) -> list[list[Turn]]:
        births, deaths, places = _Table(list), _Table(list), _Table(list)
        born, dead = Counter[_Place](), Counter[_Place]()
        before = ancestors_of(self._direct(touched.earlier))
        tensors = self.problem.tensors
        for row, calls in touched.first.items():
            if tensors[row[0]].kind is not BufferKind.INPUT:
                mask = bits_of(calls)
                first = [call for call in calls if not before[call] & mask]
                self._enter(born, births, tensors[row[0]].row_bytes, first)
        last = {}
        for row, calls in touched.last.items():
            if not self.problem.stays(tensors[row[0]]):
                followed = reduce(or_, (before[call] for call in calls))
                last[row] = [call for call in calls if not followed >> call & 1]
                self._enter(dead, deaths, tensors[row[0]].row_bytes, last[row])
        for number, call in enumerate(self.problem.calls):
            scratch = sum(tensors[tensor].row_bytes for tensor in call.uses)
            born[self._where[number]] += scratch
            dead[self._where[number]] += scratch
            for old in _overwritten(self.problem, call):
                new = (call.writes[0].tensor, call.writes[0].first)
                if number in last[old] and touched.first[new] == [number]:
                    others = tuple(self._where[other] for other in last[old])
                    places[self._where[number]].append((tensors[old[0]].row_bytes, others))
        return [
            [
                Turn(born[p], tuple(births[p]), dead[p], tuple(deaths[p]), tuple(places[p]))
                for p in ((operation, turn) for turn in range(length))
            ]
            for operation, length in enumerate(self.lengths)
        ]

    def _direct(self, earlier: Sequence[set[int]]) -> list[set[int]]:
        """The calls that each may not overtake, that of its operation before it among them."""
        direct = [set(calls) for calls in earlier]
        for sequence in self.sequences:
            for before, call in pairwise(sequence):
                direct[call].add(before)
        return direct

    def _enter(
        self, certain: Counter[_Place], table: _Table, row_bytes: int, calls: Sequence[int]
    ) -> None:
        """Count a row with whichever of some calls it is that is made first, or last."""
        counts = tuple(self._where[call] for call in calls)
        if len(counts) == 1:
            certain[counts[0]] += row_bytes
        else:
            for place in counts:
                table[place].append((row_bytes, counts))


class _Touched:
    """Which calls share rows: `earlier` has for each those that it may not overtake.

    `first` and `last` have for each row the calls of which one makes it, or touches it last: one,
    unless the calls may come in any order.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self.earlier: list[set[int]] = []
        self.first: dict[Row, list[int]] = {}
        self.last: dict[Row, list[int]] = {}
        writer: dict[Row, int] = {}
        readers: dict[Row, list[int]] = defaultdict(list)
        for number, call in enumerate(calls):
            reads, writes = list(each_row(call.reads)), list(each_row(call.writes))
            self.earlier.append({writer[row] for row in (*reads, *writes) if row in writer})
            for row in writes:
                self.earlier[number].update(readers[row])
                self.first.setdefault(row, [number])
            for row in reads:
                readers[row].append(number)
            for row in writes:
                writer[row], readers[row] = number, []
        self.last.update({row: readers[row] or [writer[row]] for row in {**writer, **readers}})


def _overwritten(problem: RowProblem, call: Call) -> Iterable[Row]:
    """Rows whose places a call may take if they die with it."""
    if len(call.writes) != 1:
        return
    made = problem.tensors[call.writes[0].tensor]
    for rows in call.in_place:
        tensor = problem.tensors[rows.tensor]
        if (
            tensor.row_bytes == made.row_bytes
            and made.kind is not BufferKind.INPUT
            and not (tensor.in_sequence and made.in_sequence)
            and not problem.stays(tensor)
        ):
            yield rows.tensor, rows.first
