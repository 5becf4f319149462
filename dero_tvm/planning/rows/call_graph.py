"""The calls of a row problem as a graph: what each waits for, and how it changes what is alive.

An operation has its calls in a fixed sequence, so that a state of a run is how many calls each of
them has made.  What is alive follows from the state alone, whatever the order that led there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..problem import BufferKind
from .problem import Call, RowProblem, RowRange

Row = tuple[int, int]  # number of the tensor, number of the row
Counts = tuple[tuple[int, int], ...]  # operations, each with a number of calls
_Table = defaultdict[tuple[int, int], list[tuple[int, Counts]]]  # by operation and turn


@dataclass(frozen=True)
class Turn:
    """What the call that an operation makes next does to what is alive, in bytes.

    Rows are born unless one of the counts in `births` is exceeded, and die if all in `deaths` are;
    likewise the place of one in `places` can be taken.
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
        tensors = self.problem.tensors
        for row, calls in touched.first.items():
            tensor = tensors[row[0]]
            if tensor.kind is not BufferKind.INPUT:
                self._enter(births, tensor.row_bytes, calls, min)
        for row, calls in touched.last.items():
            if not self.problem.stays(tensors[row[0]]):
                self._enter(deaths, tensors[row[0]].row_bytes, calls, max)
        for number, call in enumerate(self.problem.calls):
            for old in _overwritten(self.problem, call):
                turns = self._turns_of(touched.last[old], max)
                operation, turn = self._where[number]
                new = (call.writes[0].tensor, call.writes[0].first)
                if turns.get(operation) == turn and touched.first[new] == [number]:
                    others = _others(turns, operation)
                    places[operation, turn].append((tensors[old[0]].row_bytes, others))
        found: list[list[Turn]] = []
        for operation, length in enumerate(self.lengths):
            known: dict[int, int] = {}
            found.append([])
            for turn in range(length):
                known.update(self.needs[operation][turn])
                born, some_born = _without_condition(births[operation, turn], {})
                dead, some_dead = _without_condition(deaths[operation, turn], known)
                replaced = tuple(places[operation, turn])
                found[-1].append(Turn(born, some_born, dead, some_dead, replaced))
        return found

    def _enter(
        self,
        table: _Table,
        row_bytes: int,
        calls: Sequence[int],
        which: Callable[[int, int], int],
    ) -> None:
        turns = self._turns_of(calls, which)
        for operation, turn in turns.items():
            table[operation, turn].append((row_bytes, _others(turns, operation)))

    def _turns_of(self, calls: Sequence[int], which: Callable[[int, int], int]) -> dict[int, int]:
        """The first or last turn of each operation among some calls."""
        turns: dict[int, int] = {}
        for operation, turn in (self._where[call] for call in calls):
            turns[operation] = which(turns.get(operation, turn), turn)
        return turns


def rows_in(ranges: Iterable[RowRange]) -> list[Row]:
    """The single rows of some ranges."""
    return [(rows.tensor, row) for rows in ranges for row in range(rows.first, rows.end)]


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
        scratch: dict[Row, list[int]] = defaultdict(list)
        for number, call in enumerate(calls):
            reads, writes = rows_in(call.reads), rows_in(call.writes)
            self.earlier.append({writer[row] for row in (*reads, *writes) if row in writer})
            for row in writes:
                self.earlier[number].update(readers[row])
                self.first.setdefault(row, [number])
            for row in reads:
                readers[row].append(number)
            for row in writes:
                writer[row], readers[row] = number, []
            for tensor in call.uses:
                scratch[tensor, 0].append(number)
        self.last.update({row: readers[row] or [writer[row]] for row in {**writer, **readers}})
        self.first.update(scratch)
        self.last.update(scratch)


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


def _others(turns: dict[int, int], operation: int) -> Counts:
    return tuple(item for item in turns.items() if item[0] != operation)


def _without_condition(
    rows: Sequence[tuple[int, Counts]], known: dict[int, int]
) -> tuple[int, tuple[tuple[int, Counts], ...]]:
    """Bytes of rows that nothing but `known` counts decide upon, and the other rows."""
    size, conditional = 0, []
    for row_bytes, counts in rows:
        open_ = tuple((other, turn) for other, turn in counts if known.get(other, 0) <= turn)
        if open_:
            conditional.append((row_bytes, open_))
        else:
            size += row_bytes
    return size, tuple(conditional)
