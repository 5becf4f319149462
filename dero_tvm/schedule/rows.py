"""The order in which a cascade's rows are made, found by running it without computing anything.

A cascade is driven by its last operation.  To make its row r it asks the operation before it for
the rows that r needs, which asks the one before, and so on:

    make(last, r):  for each operand made inside the cascade:
                        while operand has fewer rows than r needs: make(its operation, next row)
                    run the row kernel

Every row is made once.  While this runs, each inner tensor needs only the rows between the oldest
one that somebody will still read and the newest one made: a ring of that many rows.  The same run
tells how far the output may reach into the memory of an input that dies in the cascade.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from relax_passes.operators import Signature, operator_of
from relax_passes.operators.signature import TensorSpec

from .network import Cascade


@dataclass(frozen=True)
class RowNeeds:
    """Rows of one operand that each output row needs, as half-open ranges `first[r]:last[r]`.

    `alive_from[r]` is the oldest row that output row r or any later one needs.
    """

    first: np.ndarray
    last: np.ndarray
    alive_from: np.ndarray  # one entry more than there are rows: the end, when nothing is needed


@lru_cache(maxsize=65536)
def row_needs(signature: Signature, operand: int) -> RowNeeds:
    """The rows that an operator needs of operand number `operand`, for every output row."""
    operator = operator_of(signature.operator)
    rows = signature.output.rows
    height = signature.inputs[operand].rows
    if operator is None:  # opaque: runs once, needs everything
        ranges = [(0, height)] * rows
    else:
        ranges = [operator.needed_rows(signature, operand, row) for row in range(rows)]
    first = np.array([r[0] for r in ranges], dtype=np.int64)
    last = np.array([r[1] for r in ranges], dtype=np.int64)
    # A later row never asks for less than an earlier one has already caused to be made.
    last = np.maximum.accumulate(last) if rows else last
    needed = np.where(last > first, first, height)
    alive = np.append(np.minimum.accumulate(needed[::-1])[::-1], height)
    return RowNeeds(first, last, alive)


@dataclass(frozen=True)
class Demand:
    """Operation `reader` asks for rows of its operand number `operand`, made by `producer`."""

    reader: int
    operand: int
    producer: int


@dataclass(frozen=True)
class RowSchedule:
    """What the run of a cascade shows.

    `rings`: rows of each inner value that are alive at once.  `demands`: those that ever cause a
    row to be made; code for the others is not needed.  `distance`: for each operand from outside
    the cascade, in bytes, the least `address(operand) - address(output)` with which the output
    never overwrites rows that are still needed (see `planning.problem.Overlap`).
    """

    rings: dict[str, int]
    demands: tuple[Demand, ...]
    distance: dict[str, int]
    rows_made: tuple[int, ...]  # by each operation


def simulate(cascade: Cascade, inner: tuple[str, ...]) -> RowSchedule:
    """Run the cascade's row schedule; `inner` are the values that live in rings."""
    return _Simulation(cascade, frozenset(inner)).run()


class _Simulation:
    def __init__(self, cascade: Cascade, inner: frozenset[str]) -> None:
        self.operations = cascade.operations
        self.inner = inner
        producer_of = {op.result: i for i, op in enumerate(self.operations)}
        self.producers: list[list[tuple[int, int, RowNeeds]]] = []  # operand, producer, needs
        self.readers: dict[str, list[tuple[int, RowNeeds, bool]]] = {}
        for index, op in enumerate(self.operations):
            asked = []
            operator = operator_of(op.signature.operator)
            in_place = operator.in_place_arguments(op.signature) if operator else ()
            for operand in op.row_operands:
                name = op.operands[operand]
                needs = row_needs(op.signature, operand)
                if name in producer_of:
                    asked.append((operand, producer_of[name], needs))
                self.readers.setdefault(name, []).append((index, needs, operand in in_place))
            self.producers.append(asked)
        self.made = [0] * len(self.operations)
        self.rings = dict.fromkeys(inner, 1)
        self.demands: set[Demand] = set()

    def run(self) -> RowSchedule:
        final = len(self.operations) - 1
        output = self.operations[final].signature.output
        distance: dict[str, int] = {}
        outside = [name for name in self.readers if self._made_outside(name)]
        for row in range(output.rows):
            self._ask(final)
            for name in outside:
                spec = self._spec_outside(name)
                kept = self._oldest_needed(name, final) * spec.row_bytes
                gap = (row + 1) * output.row_bytes - kept
                distance[name] = max(distance.get(name, gap), gap)
            self.made[final] += 1
        for index in range(final):  # whole tensors are completed even if nobody asks for all rows
            if self.operations[index].result not in self.inner:
                while self.made[index] < self.operations[index].signature.output.rows:
                    self._make(index)
        return RowSchedule(
            self.rings,
            tuple(sorted(self.demands, key=lambda d: (d.reader, d.operand))),
            distance,
            tuple(self.made),
        )

    def _ask(self, index: int) -> None:
        """Have every row made that the next row of operation `index` needs."""
        row = self.made[index]
        for operand, producer, needs in self.producers[index]:
            until = needs.last[row]
            if self.made[producer] < until:
                self.demands.add(Demand(index, operand, producer))
                while self.made[producer] < until:
                    self._make(producer)

    def _make(self, index: int) -> None:
        self._ask(index)
        self.made[index] += 1
        result = self.operations[index].result
        if result in self.inner:
            alive = self.made[index] - self._oldest_needed(result)
            self.rings[result] = max(self.rings[result], alive)

    def _oldest_needed(self, name: str, writer: int | None = None) -> int:
        """Oldest row of `name` still needed; `writer` is in the middle of its next row.

        The writer may overwrite the very row it is reading if its kernel works in place.
        """
        oldest = None
        for reader, needs, in_place in self.readers[name]:
            row = self.made[reader]
            if reader == writer and in_place:
                row += 1
            candidate = int(needs.alive_from[row])
            oldest = candidate if oldest is None else min(oldest, candidate)
        return 0 if oldest is None else oldest

    def _made_outside(self, name: str) -> bool:
        return all(op.result != name for op in self.operations)

    def _spec_outside(self, name: str) -> TensorSpec:
        for op in self.operations:
            if name in op.operands:
                return op.signature.inputs[op.operands.index(name)]
        raise KeyError(name)
