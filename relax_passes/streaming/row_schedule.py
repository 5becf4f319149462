"""The order in which the rows of a cascade are made, found by running it without computing.

A cascade is a run of operators driven by its last one.  To make its row r the driver asks the
operator before it for the rows that r needs, which asks the one before, and so on:

    make(operator, r):  for each operand made inside the cascade:
                            while it has fewer rows than r needs: make(its operator, next row)
                        run the row kernel

Every row is made at most once, and none behind the last one that somebody needs.  While this
runs, each inner tensor needs only the rows between the oldest one that somebody will still read
and the newest one made: a ring of that many rows.  Inner tensors that are needed outside are
whole; when the driver is done, the rows of theirs that it did not ask for are made in the same
way.  The same run tells how far the output may reach into the memory of an input that dies in the
cascade.

Where an operator may write its row over the row it reads, and is the only reader of that operand,
both tensors live in one ring: a slot holds a row of the operand until the row of the result takes
its place.

Of several operands the one behind fewer operators is asked first.  At a residual block's end that
is the shortcut: it lets go of the fork's oldest row before the long branch asks for new ones.

Rows may also be made from the last to the first.  Everything is then mirrored: here, row numbers
are counted in the order of execution, whichever it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from .cascade_operator import CascadeOperator


@dataclass(frozen=True)
class Demand:
    """Operator `reader` asks for rows of its operand number `operand`, made by `producer`."""

    reader: int
    operand: int
    producer: int


@dataclass(frozen=True)
class RowSchedule:
    """What the run of a cascade shows.

    `rings`: rows of each tensor made in the cascade that are alive at once, tensors that are whole
    excepted.  `in_place`: result -> operand for the tensors that live in their operand's ring;
    the operand's height counts for both.  `demands`: those that ever cause a row to be made, in
    the order in which a reader asks; code for the others is not needed.  `reader_distance`: for
    each tensor and operator that reads it, in bytes, how far the driver's output must stay behind
    the tensor because of that reader (see `distance`).  `calls`: of each operator's kernel in all.
    `incomplete`: the operators whose results are whole but not so when the driver is done; the rest
    of their rows is made then, one operator after the other.
    """

    rings: dict[str, int]
    in_place: dict[str, str]
    demands: tuple[Demand, ...]
    reader_distance: dict[tuple[str, int], int]
    calls: tuple[int, ...]
    incomplete: tuple[int, ...]

    def distance(self, name: str, first_reader: int = 0) -> int | None:
        """How far, in bytes, the driver's output must stay behind a whole tensor.

        That is the least ``address(tensor) - address(output)`` with which no row is overwritten
        that is still needed.  Readers before `first_reader` do not count.  None: nobody reads it
        row by row.
        """
        readers, farthest = self._distances.get(name, ((), ()))
        after = bisect_left(readers, first_reader)
        return farthest[after] if after < len(farthest) else None

    @cached_property
    def _distances(self) -> dict[str, tuple[list[int], list[int]]]:
        """By tensor: its readers, ascending, and the largest distance of each and those behind."""
        readers: dict[str, list[int]] = {}
        for tensor, reader in self.reader_distance:
            readers.setdefault(tensor, []).append(reader)
        found = {}
        for tensor, ascending in readers.items():
            ascending.sort()
            back = (self.reader_distance[tensor, reader] for reader in reversed(ascending))
            found[tensor] = ascending, list(accumulate(back, max))[::-1]
        return found

    def ring_of(self, name: str) -> str | None:
        """The tensor whose ring `name` lives in; None if it is whole."""
        if name not in self.rings:
            return None
        while name in self.in_place:
            name = self.in_place[name]
        return name

    @property
    def tensors_read(self) -> tuple[str, ...]:
        """The tensors that are read row by row."""
        return tuple(dict.fromkeys(tensor for tensor, _ in self.reader_distance))


def simulate(
    operators: Sequence[CascadeOperator],
    descending: bool = False,
    whole: Collection[str] = (),
) -> RowSchedule:
    """Run the row schedule of a cascade, its operators in topological order, driver last.

    `whole` names results that are whole tensors because somebody outside needs them; the driver's
    result always is.
    """
    return _Simulation(operators, descending, whole).run()


def calls_in_order(
    operators: Sequence[CascadeOperator],
    descending: bool = False,
    whole: Collection[str] = (),
) -> list[int]:
    """The operator of each kernel call of a cascade, in order; parameters as of `simulate`.

    An operator's first call is for its first row (the last one, if `descending`), and so on.
    """
    return _Simulation(operators, descending, whole).calls()


@dataclass(frozen=True)
class PassSchedule:
    """What happens where rows are made in passes, which all begin with nothing.

    `rings`, `in_place` and `demands` are those of `RowSchedule`, for all passes.  In pass p,
    operator k makes rows ``first[p][k]`` to ``end[p][k] - 1``.
    """

    rings: dict[str, int]
    in_place: dict[str, str]
    demands: tuple[Demand, ...]
    first: tuple[tuple[int, ...], ...]
    end: tuple[tuple[int, ...], ...]


def simulate_passes(
    operators: Sequence[CascadeOperator], rows: int, kept: Collection[str] = ()
) -> PassSchedule:
    """Run a cascade in passes of `rows` rows of its driver; none is a running reduction.

    What two passes need is made in both.  The results `kept` hold all rows of a pass to its end.
    """
    simulation = _Simulation(operators, False, (), kept)
    height = operators[-1].steps
    first = []
    end = []
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        first.append(simulation.first_rows(start, stop))
        simulation.made = list(first[-1])
        for _ in range(start, stop):
            simulation._make(len(operators) - 1)
        end.append(tuple(simulation.made))
        for number, op in enumerate(operators):
            if op.result in kept:
                made = end[-1][number] - first[-1][number]
                simulation.rings[op.result] = max(simulation.rings[op.result], made)
    return PassSchedule(
        simulation.rings, simulation.in_place, simulation.demands(), tuple(first), tuple(end)
    )


@dataclass(frozen=True)
class _Reader:
    """One operand of an operator, as the tensor it reads sees it."""

    operator: int
    alive_from: list[int]  # by calls that the operator has made
    row_bytes: int  # of the tensor, as this reader sees it
    in_place: bool

    @cached_property
    def anywhere(self) -> int:
        """The distance that excludes nothing."""
        return -self.alive_from[-1] * self.row_bytes


class _Simulation:
    def __init__(
        self,
        operators: Sequence[CascadeOperator],
        descending: bool,
        whole: Collection[str],
        kept: Collection[str] = (),
    ) -> None:
        self.operators = operators
        self.kept = kept
        self.descending = descending
        driver = len(operators) - 1
        self.rings = {op.result: 1 for op in operators[:driver] if op.result not in whole}
        self.producer_of = {op.result: index for index, op in enumerate(operators)}
        self.ancestors = self._ancestors()
        self.wanted = self._steps_wanted()
        self.asks = [self._asks_of(index) for index in range(len(operators))]
        self.readers = self._readers()
        self.in_place = self._rings_in_place()
        self.over = {operand: result for result, operand in self.in_place.items()}
        self.made = [0] * len(operators)
        self.rows_after = [op.rows_after for op in operators]
        self.trace: list[int] | None = None
        self.asked: set[tuple[int, int]] = set()  # operator, number among its `asks`
        self.ring_readers = self._ring_readers()

    def run(self) -> RowSchedule:
        distances = self._run_driver()
        incomplete = self._complete()
        return RowSchedule(
            self.rings,
            self.in_place,
            self.demands(),
            distances,
            tuple(self.made),
            tuple(incomplete),
        )

    def calls(self) -> list[int]:
        """The operator of each call, in order; nothing else is asked of the run."""
        self.trace = []
        for _ in range(self.operators[-1].steps):
            self._make(len(self.operators) - 1)
        self._complete()
        return self.trace

    def demands(self) -> tuple[Demand, ...]:
        """Who has asked whom."""
        return tuple(
            Demand(reader, operand, producer)
            for reader in range(len(self.operators))
            for number, (operand, producer, _) in enumerate(self.asks[reader])
            if (reader, number) in self.asked
        )

    def first_rows(self, start: int, stop: int) -> tuple[int, ...]:
        """The first row of each operator that the driver's rows from `start` to `stop` need."""
        first = [op.steps for op in self.operators]
        end = [0] * len(self.operators)
        first[-1], end[-1] = start, stop
        for index in reversed(range(len(self.operators))):
            first[index] = min(first[index], end[index])
            if first[index] == end[index]:
                continue
            for operand, producer, asks in self.asks[index]:
                needs = self.operators[index].needs(operand)
                oldest = int(needs.first[first[index] : end[index]].min())
                first[producer] = min(first[producer], oldest)
                end[producer] = max(end[producer], asks[end[index] - 1])
        return tuple(first)

    # --- what is known before the run --------------------------------------------------------

    def _steps_wanted(self) -> list[int]:
        """Calls of each operator in all: for a ring only those that some reader asks for."""
        wanted = [0 if op.result in self.rings else op.steps for op in self.operators]
        for index in reversed(range(len(self.operators))):
            op = self.operators[index]
            for operand, name in enumerate(op.operands):
                if name in self.producer_of and wanted[index]:
                    producer = self.producer_of[name]
                    asked = op.asks(operand, self.operators[producer], self.descending)
                    wanted[producer] = max(wanted[producer], asked[wanted[index] - 1])
        return wanted

    def _asks_of(self, index: int) -> list[tuple[int, int, list[int]]]:
        """What an operator asks for, in order: (operand, producer, its calls before each call)."""
        op = self.operators[index]
        asked = [
            (operand, self.producer_of[name])
            for operand, name in enumerate(op.operands)
            if name in self.producer_of
        ]
        producers = {producer for _, producer in asked}

        def turn(ask: tuple[int, int]) -> tuple[bool, int, int]:
            # What another operand is made of comes last: the other one has had it made by then.
            operand, producer = ask
            others = (self.ancestors[other] for other in producers if other != producer)
            is_behind = any(above >> producer & 1 for above in others)
            return is_behind, self.ancestors[producer].bit_count(), operand

        return [
            (operand, producer, op.asks(operand, self.operators[producer], self.descending))
            for operand, producer in sorted(asked, key=turn)
        ]

    def _ancestors(self) -> list[int]:
        """For each operator those that its rows are made by, itself included, as sets of bits."""
        found: list[int] = []
        for index, op in enumerate(self.operators):
            above = 1 << index
            for name in op.operands:
                if name in self.producer_of:
                    above |= found[self.producer_of[name]]
            found.append(above)
        return found

    def _readers(self) -> dict[str, list[_Reader]]:
        """Who reads each tensor row by row; tensors made in the cascade, who reads them at all."""
        readers: dict[str, list[_Reader]] = {}
        for index, op in enumerate(self.operators):
            for operand, name in enumerate(op.operands):
                if name in self.producer_of or operand in op.row_operands:
                    needs = op.needs(operand, self.descending)
                    reader = _Reader(
                        index,
                        needs.alive_from(self.wanted[index]),
                        op.signature.inputs[operand].row_bytes,
                        operand in op.in_place,
                    )
                    readers.setdefault(name, []).append(reader)
        return readers

    def _rings_in_place(self) -> dict[str, str]:
        """Results that take the rows of an operand: result -> operand."""
        found: dict[str, str] = {}
        for op in self.operators:
            if op.result not in self.rings or op.running_reduction or op.result in self.kept:
                continue
            for index in op.in_place:
                name = op.operands[index]
                same_rows = op.signature.inputs[index].row_bytes == op.signature.output.row_bytes
                sole = name in self.rings and len(self.readers[name]) == 1
                sole = sole and name not in self.kept
                if (
                    sole
                    and same_rows
                    and not self.operators[self.producer_of[name]].running_reduction
                ):
                    found[op.result] = name
                    break
        return found

    # --- the run -----------------------------------------------------------------------------

    def _run_driver(self) -> dict[tuple[str, int], int]:
        """Make all rows of the driver; returns the distances (see `RowSchedule`)."""
        driver = len(self.operators) - 1
        op = self.operators[driver]
        readers = [(name, reader) for name, found in self.readers.items() for reader in found]
        distances = {(name, reader.operator): reader.anywhere for name, reader in readers}
        for step in range(op.steps):
            self._make(driver)
            if op.running_reduction and step < op.steps - 1:
                continue  # nothing is written before the last row is in
            row = 0 if op.running_reduction else step
            for name, reader in readers:
                gap = self._gap(reader, row, op.signature.output.row_bytes)
                if gap > distances[name, reader.operator]:
                    distances[name, reader.operator] = gap
        return distances

    def _gap(self, reader: _Reader, row: int, row_bytes: int) -> int:
        """How far the driver's row number `row`, just made, must stay behind a tensor.

        Kernels go through a row in ascending order.  One that may work in place keeps behind what
        it still has to read as long as its output begins no later than its operand: not so for
        rows that descend, unless by luck of the placement.
        """
        in_place = reader.operator == len(self.operators) - 1 and reader.in_place
        if in_place and not self.descending:
            ends = (row + 1) * row_bytes - reader.alive_from[row + 1] * reader.row_bytes
            return max(ends, row * (row_bytes - reader.row_bytes))
        done = self.made[reader.operator] - (reader.operator == len(self.operators) - 1)
        oldest = reader.alive_from[done]
        if oldest == reader.alive_from[-1]:  # it needs nothing any more
            return reader.anywhere
        driver = len(self.operators) - 1
        return self.rows_after[driver][row + 1] * row_bytes - oldest * reader.row_bytes

    def _complete(self) -> list[int]:
        """Make the rows of whole tensors that the driver has not asked for; whose they are."""
        incomplete = [
            index
            for index, op in enumerate(self.operators)
            if op.result not in self.rings and self.made[index] < self.wanted[index]
        ]
        for index in incomplete:
            while self.made[index] < self.wanted[index]:
                self._make(index)
        return incomplete

    def _make(self, index: int) -> None:
        """Make the next row of operator `index`, and first every row that it needs."""
        # Large networks run this millions of times.
        made = self.made
        row = made[index]
        for number, (_, producer, last) in enumerate(self.asks[index]):
            if made[producer] < last[row]:
                self.asked.add((index, number))
                while made[producer] < last[row]:
                    self._make(producer)
        made[index] = row + 1
        if self.trace is not None:
            self.trace.append(index)
        if readers := self.ring_readers[index]:
            # The oldest row that some operator still needs, of this ring or what is over it.
            oldest = min([reader.alive_from[made[reader.operator]] for reader in readers])
            result = self.operators[index].result
            there = self.rows_after[index][row + 1]
            if there - oldest > self.rings[result]:
                self.rings[result] = there - oldest

    def _ring_readers(self) -> list[Sequence[_Reader]]:
        """For each operator who reads its result's ring, or what is written over its rows.

        None if that is no ring.
        """
        found: dict[str, Sequence[_Reader]] = {}
        for op in reversed(self.operators):
            name = op.result
            own = self.readers.get(name, [])
            over = self.over.get(name)
            if over is None:
                found[name] = own
            elif over in self.over and self._goes_ahead(own[0], self.readers[over][0]):
                found[name] = found[over]
            else:
                found[name] = [*own, *found[over]]
        return [
            () if op.result not in self.rings or op.running_reduction else found[op.result]
            for op in self.operators
        ]

    def _goes_ahead(self, reader: _Reader, behind: _Reader) -> bool:
        """Whether `reader` never needs an older row than the one that reads what it writes.

        So it is where both go row by row.
        """
        calls = self.wanted[reader.operator]
        by_row = reader.alive_from[:calls] == list(range(calls))
        return by_row and reader.alive_from == behind.alive_from
