"""The check of a row placement: the calls run on marks in place of numbers.

Every row that is made writes a mark of its own over its bytes; every row that is read must still
have its mark in all of them.  Nothing here shares code with what made the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from ..planning_error import PlanError
from ..problem import BufferKind
from .problem import Call, RowProblem, RowRange, RowTensor


def verify_rows(
    problem: RowProblem, offsets: Mapping[str, tuple[int | None, ...]], arena_bytes: int
) -> None:
    """Raises ``PlanError`` for the first row that a call would not find."""
    _Replay(problem, offsets, arena_bytes).run()


def verify_order(written: RowProblem, ordered: RowProblem) -> None:
    """Raises ``PlanError`` unless the calls of `ordered` compute what those of `written` do.

    An operation makes its calls in the same sequence or, where none needs another, backwards; and
    every row that a call reads was last written by the calls that have written it in `written`.
    """
    if Counter(written.calls) != Counter(ordered.calls):
        raise PlanError("the order does not have every call once")
    expected, found = _writers_read(written), _writers_read(ordered)
    for call, writers in found.items():
        if writers != expected[call]:
            raise PlanError(f"{_described(call)} reads what other calls have written")
    sequences, ordered_sequences = _sequences(written), _sequences(ordered)
    for operation, calls in ordered_sequences.items():
        if calls not in (sequences[operation], sequences[operation][::-1]):
            raise PlanError(f"{_described(calls[0])}: the rows of its operation are not in turn")


def _writers_read(problem: RowProblem) -> dict[Call, list[tuple[Call, ...]]]:
    """For each call, and one behind the last, the calls that have written each row it reads."""
    writers: dict[tuple[int, int], tuple[Call, ...]] = {}
    read = {}
    for call in problem.calls:
        # What is written is also what is written over.
        read[call] = [writers.get(row, ()) for row in _each((*call.reads, *call.writes))]
        for row in _each(call.writes):
            writers[row] = (*writers.get(row, ()), call)
    read[Call(-1, -1, -1)] = [writers[row] for row in sorted(writers)]
    return read


def _sequences(problem: RowProblem) -> dict[tuple[int, int], list[Call]]:
    sequences: dict[tuple[int, int], list[Call]] = {}
    for call in problem.calls:
        sequences.setdefault((call.step, call.operation), []).append(call)
    return sequences


def _described(call: Call) -> str:
    return f"step {call.step}, operation {call.operation}, row {call.row}"


class _Replay:
    def __init__(
        self,
        problem: RowProblem,
        offsets: Mapping[str, tuple[int | None, ...]],
        arena_bytes: int,
    ) -> None:
        self.problem = problem
        self.offsets = offsets
        self.arena = np.zeros(arena_bytes, np.int32)
        self.marks: dict[tuple[int, int], int] = {}
        self.given = 0

    def run(self) -> None:
        for number, tensor in enumerate(self.problem.tensors):
            self._check_shape(tensor)
            if tensor.kind is BufferKind.INPUT:
                for row in range(tensor.rows):
                    self._write(number, row)
        for time, call in enumerate(self.problem.calls):
            self._call(time, call)
        for number, tensor in enumerate(self.problem.tensors):
            stays = tensor.kind is BufferKind.OUTPUT or (
                tensor.kind is BufferKind.INPUT and self.problem.keep_inputs
            )
            for row in range(tensor.rows if stays else 0):
                if (number, row) in self.marks:
                    self._read(number, row, "the end of the run")

    def _call(self, time: int, call: Call) -> None:
        where = f"call {time} ({_described(call)})"
        for rows in call.reads:
            for row in range(rows.first, rows.end):
                self._read(rows.tensor, row, where)
        for tensor in call.uses:
            self._write(tensor, 0)
        before = {name: self._mark_of(name) for name in _each(call.reads)}
        written = _each(call.writes)
        for tensor, row in written:
            self._write(tensor, row)
        # While it writes, the call still reads: only what it may write over may be hit.
        places = [self._place(*name) for name in written]
        over = [name for name in _each(call.in_place) if self._place(*name) in places]
        for name, mark in before.items():
            if name not in over and name not in written and self._mark_of(name) != mark:
                raise PlanError(f"{where} writes over row {self._named(*name)}, which it reads")
        for tensor in call.uses:
            self._read(tensor, 0, where)

    def _mark_of(self, name: tuple[int, int]) -> int | None:
        """The mark in all bytes of a row; None if there are several."""
        place = self._place(*name)
        marks = self.arena[place]
        return int(marks[0]) if marks.size and (marks == marks[0]).all() else None

    def _place(self, tensor: int, row: int) -> slice:
        known = self.problem.tensors[tensor]
        offset = self.offsets[known.name][row]
        if offset is None:
            raise PlanError(f"row {self._named(tensor, row)} has no address")
        end = offset + known.row_bytes
        if offset < 0 or end > len(self.arena) or offset % known.alignment:
            if not (known.in_sequence and row):
                raise PlanError(f"row {self._named(tensor, row)} lies wrongly, at {offset}")
        return slice(offset, end)

    def _write(self, tensor: int, row: int) -> None:
        self.given += 1
        self.marks[tensor, row] = self.given
        self.arena[self._place(tensor, row)] = self.given

    def _read(self, tensor: int, row: int, where: str) -> None:
        mark = self.marks.get((tensor, row))
        if mark is None:
            raise PlanError(f"{where} reads row {self._named(tensor, row)}, which nobody has made")
        if self._mark_of((tensor, row)) != mark:
            raise PlanError(f"{where} reads row {self._named(tensor, row)}, which is overwritten")

    def _named(self, tensor: int, row: int) -> str:
        return f"{row} of {self.problem.tensors[tensor].name}"

    def _check_shape(self, tensor: RowTensor) -> None:
        places = self.offsets[tensor.name]
        if len(places) != tensor.rows:
            raise PlanError(f"tensor {tensor.name} has {tensor.rows} rows, not {len(places)}")
        known = [(row, place) for row, place in enumerate(places) if place is not None]
        if tensor.in_sequence and known:
            base = known[0][1] - known[0][0] * tensor.row_bytes
            if any(place != base + row * tensor.row_bytes for row, place in known):
                raise PlanError(f"the rows of {tensor.name} do not lie in sequence")


def _each(ranges: Iterable[RowRange]) -> list[tuple[int, int]]:
    """Tensor and number of each row."""
    return [(rows.tensor, row) for rows in ranges for row in range(rows.first, rows.end)]
