"""The order in which the rows of a cascade are made, found by running it without computing.

A cascade is a run of operators driven by its last one.  To make its row r the driver asks the
operator before it for the rows that r needs, which asks the one before, and so on:

    make(operator, r):  for each operand made inside the cascade:
                            while it has fewer rows than r needs: make(its operator, next row)
                        run the row kernel

Every row is made once.  While this runs, each inner tensor needs only the rows between the oldest
one that somebody will still read and the newest one made: a ring of that many rows.  The same run
tells how far the output may reach into the memory of an input that dies in the cascade.

Where an operator may write its row over the row it reads, and is the only reader of that operand,
both tensors live in one ring: a slot holds a row of the operand until the row of the result takes
its place.

Rows may also be made from the last to the first.  Everything is then mirrored: here, row numbers
are counted in the order of execution, whichever it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .operators import Signature, operator_of


@dataclass(frozen=True)
class RowNeeds:
    """Rows of one operand that each output row needs, as half-open ranges ``first[r]:last[r]``.

    `alive_from[r]` is the oldest row that output row r or any later one needs; one entry more
    than there are rows stands for the end, when nothing is needed.
    """

    first: np.ndarray
    last: np.ndarray
    alive_from: np.ndarray


@lru_cache(maxsize=65536)
def row_needs(signature: Signature, operand: int, descending: bool = False) -> RowNeeds:
    """The rows that an operator needs of operand number `operand`, for every output row."""
    operator = operator_of(signature.operator)
    rows = signature.output.rows
    height = signature.inputs[operand].rows
    if operator is None:  # opaque: runs once, needs everything
        ranges = [(0, height)] * rows
    else:
        ranges = [operator.needed_rows(signature, operand, row) for row in range(rows)]
    if descending:
        ranges = [(height - end, height - begin) for begin, end in reversed(ranges)]
    first = np.array([begin for begin, _ in ranges], dtype=np.int64)
    end = np.array([end for _, end in ranges], dtype=np.int64)
    needed = np.where(end > first, first, height)  # an empty range keeps nothing alive
    # A later row never asks for less than an earlier one has already caused to be made.
    last = np.maximum.accumulate(np.where(end > first, end, 0))
    alive = np.append(np.minimum.accumulate(needed[::-1])[::-1], height)
    return RowNeeds(first, last, alive)


@dataclass(frozen=True)
class CascadeOperator:
    """What the schedule has to know of one operator of a cascade."""

    signature: Signature
    operands: tuple[str, ...]
    result: str
    row_operands: tuple[int, ...]  # indices of the operands that are read row by row
    absorbs: bool = False  # takes its input one row at a time; see `Operator.absorbs`

    @property
    def steps(self) -> int:
        """Calls of its kernel: one for each output row, or for each input row it absorbs."""
        if self.absorbs:
            return self.signature.inputs[self.row_operands[0]].rows
        return self.signature.output.rows

    def needs(self, operand: int, descending: bool = False) -> RowNeeds:
        """The rows of operand number `operand` that each call needs."""
        if self.absorbs:
            rows = np.arange(self.steps + 1)
            return RowNeeds(rows[:-1], rows[1:], rows)
        return row_needs(self.signature, operand, descending)

    def asks(self, operand: int, producer: CascadeOperator, descending: bool = False) -> list[int]:
        """Calls of `producer` that must have been made before each call of this operator."""
        last = self.needs(operand, descending).last
        if producer.absorbs:  # its row is there when it has taken all of its input
            last = np.where(last > 0, producer.steps, 0)
        return [int(count) for count in last]


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
    the operand's height counts for both.  `demands`: those that ever cause a row to be made; code
    for the others is not needed.  `reader_distance`: for each tensor and operator that reads it,
    in bytes, how far the driver's output must stay behind the tensor because of that reader (see
    `distance`).  `rows_made`: by each operator, when the driver is done.
    """

    rings: dict[str, int]
    in_place: dict[str, str]
    demands: tuple[Demand, ...]
    reader_distance: dict[tuple[str, int], int]
    rows_made: tuple[int, ...]

    def distance(self, name: str, first_reader: int = 0) -> int | None:
        """How far, in bytes, the driver's output must stay behind a whole tensor.

        That is the least ``address(tensor) - address(output)`` with which no row is overwritten
        that is still needed.  Readers before `first_reader` do not count.  None: nobody reads it
        row by row.
        """
        found = [
            distance
            for (tensor, reader), distance in self.reader_distance.items()
            if tensor == name and reader >= first_reader
        ]
        return max(found, default=None)

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


class _Simulation:
    def __init__(
        self, operators: Sequence[CascadeOperator], descending: bool, whole: Collection[str]
    ) -> None:
        self.operators = operators
        producer_of = {op.result: i for i, op in enumerate(operators)}
        # What each operator asks for: (operand, producer, rows needed before each of its rows).
        self.asks: list[list[tuple[int, int, list[int]]]] = []
        # Who reads each tensor: (operator, oldest row it will need, works in place).
        self.readers: dict[str, list[tuple[int, list[int], bool]]] = {}
        self.row_bytes: dict[str, int] = {}
        for index, op in enumerate(operators):
            asked = []
            operator = operator_of(op.signature.operator)
            in_place = operator.in_place_arguments(op.signature) if operator else ()
            for operand in op.row_operands:
                name = op.operands[operand]
                needs = op.needs(operand, descending)
                if name in producer_of:
                    producer = producer_of[name]
                    last = op.asks(operand, operators[producer], descending)
                    asked.append((operand, producer, last))
                entry = (index, needs.alive_from.tolist(), operand in in_place)
                self.readers.setdefault(name, []).append(entry)
                self.row_bytes[name] = op.signature.inputs[operand].row_bytes
            self.asks.append(asked)
        self.made = [0] * len(operators)
        self.rings = {op.result: 1 for op in operators[:-1] if op.result not in whole}
        self.in_place = self._rings_in_place()
        self.over = {operand: result for result, operand in self.in_place.items()}
        self.demands: set[Demand] = set()

    def run(self) -> RowSchedule:
        driver = len(self.operators) - 1
        output = self.operators[driver].signature.output
        reached = 0
        distance = {
            (name, reader): -(1 << 62)
            for name, readers in self.readers.items()
            for reader, _, _ in readers
        }
        steps = self.operators[driver].steps
        for step in range(steps):
            self._ask(driver)
            if self.operators[driver].absorbs and step < steps - 1:
                self.made[driver] += 1  # nothing is written before the last row is in
                continue
            reached += output.row_bytes
            for name, readers in self.readers.items():
                row_bytes = self.row_bytes[name]
                for reader, alive_from, in_place in readers:
                    oldest = alive_from[self.made[reader] + (in_place and reader == driver)]
                    gap = reached - oldest * row_bytes
                    if gap > distance[name, reader]:
                        distance[name, reader] = gap
            self.made[driver] += 1
        return RowSchedule(
            self.rings,
            self.in_place,
            tuple(sorted(self.demands, key=lambda d: (d.reader, d.operand))),
            distance,
            tuple(self.made),
        )

    def _ask(self, index: int) -> None:
        """Have every row made that the next row of operator `index` needs."""
        row = self.made[index]
        for operand, producer, last in self.asks[index]:
            until = last[row]
            if self.made[producer] < until:
                self.demands.add(Demand(index, operand, producer))
                while self.made[producer] < until:
                    self._ask(producer)
                    self.made[producer] += 1
                    result = self.operators[producer].result
                    if result in self.rings and not self.operators[producer].absorbs:
                        alive = self.made[producer] - self._oldest_in_ring(result)
                        if alive > self.rings[result]:
                            self.rings[result] = alive

    def _rings_in_place(self) -> dict[str, str]:
        """Results that take the rows of an operand: result -> operand."""
        found: dict[str, str] = {}
        for op in self.operators:
            operator = operator_of(op.signature.operator)
            if operator is None or op.result not in self.rings:
                continue
            for index in operator.in_place_arguments(op.signature):
                name = op.operands[index]
                same_rows = op.signature.inputs[index].row_bytes == op.signature.output.row_bytes
                absorbed = any(o.absorbs and o.result == name for o in self.operators)
                if absorbed or op.absorbs:
                    continue
                if name in self.rings and len(self.readers[name]) == 1 and same_rows:
                    found[op.result] = name
                    break
        return found

    def _oldest_in_ring(self, name: str) -> int:
        """Oldest row still needed in the ring of `name`, of it or of what is written over it."""
        oldest = self._oldest_needed(name)
        while name in self.over:
            name = self.over[name]
            oldest = min(oldest, self._oldest_needed(name))
        return oldest

    def _oldest_needed(self, name: str) -> int:
        """Oldest row of `name` that some operator still needs."""
        return min(alive_from[self.made[reader]] for reader, alive_from, _ in self.readers[name])
