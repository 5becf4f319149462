"""From when to when each row has to keep its place, and which rows share one.

A row lives from the call that makes it to the last call that reads it.  Where a kernel may write
its row over one of an operand that dies in that very call, the two have one place, and the one
life goes on in the other.  Scratch has one place, which it needs in the calls that use it alone.

What is placed are **blocks**: a row that lies anywhere with those that follow it in its place, or
all rows of a tensor in sequence.  A block is a staircase of rectangles, for its rows come and go at
different times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..problem import BufferKind
from .problem import RowProblem, RowRange


@dataclass(frozen=True)
class Rectangle:
    """`size` bytes at `offset` from the block's start, from call `start` to before call `end`."""

    start: int
    end: int
    offset: int
    size: int


@dataclass(frozen=True)
class Block:
    """Rectangles that keep their distances in memory; `alignment` is the first byte's."""

    rectangles: tuple[Rectangle, ...]
    alignment: int

    @cached_property
    def start(self) -> int:
        """The call with which it begins."""
        return min(rectangle.start for rectangle in self.rectangles)

    @cached_property
    def end(self) -> int:
        """The call before which it ends."""
        return max(rectangle.end for rectangle in self.rectangles)

    @cached_property
    def bytes(self) -> int:
        """Bytes from its start to the end of its farthest rectangle."""
        return max(rectangle.offset + rectangle.size for rectangle in self.rectangles)


@dataclass(frozen=True)
class Lives:
    """The blocks of a problem, and for each tensor the block and offset of each row.

    None stands for a row that is never made.
    """

    blocks: tuple[Block, ...]
    homes: tuple[tuple[tuple[int, int] | None, ...], ...]
    calls: int

    @cached_property
    def live_bytes(self) -> np.ndarray:
        """Bytes alive during each call; no placement needs less than the greatest of them."""
        change = np.zeros(self.calls + 1, np.int64)
        for block in self.blocks:
            for rectangle in block.rectangles:
                change[rectangle.start] += rectangle.size
                change[rectangle.end] -= rectangle.size
        return np.cumsum(change)[:-1]

    @cached_property
    def peak(self) -> int:
        """The most bytes alive during a call."""
        return int(self.live_bytes.max(initial=0))


def lives_of(problem: RowProblem) -> Lives:
    """The lives of all rows of `problem`."""
    return _Lives(problem).run()


def times_of(problem: RowProblem) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each tensor the first and the last call of each row's life; -1 if it is never made."""
    births = [np.full(tensor.rows, -1, np.int64) for tensor in problem.tensors]
    deaths = [np.full(tensor.rows, -1, np.int64) for tensor in problem.tensors]
    for number, tensor in enumerate(problem.tensors):
        if tensor.kind is BufferKind.INPUT and problem.calls:
            births[number][:] = deaths[number][:] = 0
    for time, call in enumerate(problem.calls):
        for rows in call.reads:
            deaths[rows.tensor][rows.first : rows.end] = time
        for rows in (*call.writes, *(RowRange(tensor, 0, 1) for tensor in call.uses)):
            birth = births[rows.tensor][rows.first : rows.end]
            birth[birth < 0] = time
            deaths[rows.tensor][rows.first : rows.end] = time
    for number, tensor in enumerate(problem.tensors):
        if problem.stays(tensor):
            deaths[number][births[number] >= 0] = len(problem.calls) - 1
    return births, deaths


def calls_with(problem: RowProblem) -> dict[int, list[tuple[int, int]]]:
    """For each tensor that calls use as scratch, those that follow one another: first and last."""
    found: dict[int, list[tuple[int, int]]] = {}
    for time, call in enumerate(problem.calls):
        for tensor in call.uses:
            runs = found.setdefault(tensor, [])
            if runs and runs[-1][1] == time - 1:
                runs[-1] = (runs[-1][0], time)
            else:
                runs.append((time, time))
    return found


class _Lives:
    def __init__(self, problem: RowProblem) -> None:
        self.problem = problem
        self.calls = len(problem.calls)
        self.birth, self.death = times_of(problem)
        # The row whose place a row takes, and the one that takes its place.
        self.before: dict[tuple[int, int], tuple[int, int]] = {}
        self.behind: dict[tuple[int, int], tuple[int, int]] = {}

    def run(self) -> Lives:
        self._join()
        blocks: list[Block] = []
        homes: list[list[tuple[int, int] | None]] = [[None] * t.rows for t in self.problem.tensors]
        for number, runs in calls_with(self.problem).items():
            size = self.problem.tensors[number].row_bytes
            parts = tuple(Rectangle(first, last + 1, 0, size) for first, last in runs)
            homes[number][0] = (len(blocks), 0)
            blocks.append(Block(parts, self.problem.tensors[number].alignment))
        for number, tensor in enumerate(self.problem.tensors):
            if tensor.in_sequence and homes[number][0] is None:
                self._add(blocks, homes, [(number, row) for row in range(tensor.rows)])
        for number, tensor in enumerate(self.problem.tensors):
            for row in range(tensor.rows):
                if homes[number][row] is None and (number, row) not in self.before:
                    self._add(blocks, homes, [(number, row)])
        return Lives(tuple(blocks), tuple(map(tuple, homes)), self.calls)

    def _join(self) -> None:
        """Let each row that may take the place of one that dies."""
        tensors = self.problem.tensors
        for time, call in enumerate(self.problem.calls):
            if len(call.writes) != 1:
                continue
            (made,) = call.writes
            new = (made.tensor, made.first)
            for operand in call.in_place:
                old = (operand.tensor, operand.first)
                both_in_sequence = tensors[old[0]].in_sequence and tensors[new[0]].in_sequence
                if (
                    self.death[old[0]][old[1]] == time
                    and not self.problem.stays(tensors[old[0]])
                    and self.birth[new[0]][new[1]] == time
                    and tensors[old[0]].row_bytes == tensors[new[0]].row_bytes
                    and not both_in_sequence
                    and not (tensors[new[0]].in_sequence and self._in_sequence(old))
                ):
                    self.before[new], self.behind[old] = old, new
                    break

    def _in_sequence(self, row: tuple[int, int]) -> bool:
        """Whether a row, or one whose place it takes, is part of a sequence."""
        while True:
            if self.problem.tensors[row[0]].in_sequence:
                return True
            if row not in self.before:
                return False
            row = self.before[row]

    def _add(
        self,
        blocks: list[Block],
        homes: list[list[tuple[int, int] | None]],
        rows: list[tuple[int, int]],
    ) -> None:
        """The block of some rows of one tensor in sequence, with all that take their places."""
        first = self.problem.tensors[rows[0][0]]
        rectangles: list[Rectangle] = []
        alignment = first.alignment
        for index, row in enumerate(rows):
            offset = index * first.row_bytes
            chain = list(self._chain(row))
            if not chain:
                continue
            for number, place in chain:
                homes[number][place] = (len(blocks), offset)
                alignment = max(alignment, self.problem.tensors[number].alignment)
            start = int(self.birth[chain[0][0]][chain[0][1]])
            end = int(self.death[chain[-1][0]][chain[-1][1]]) + 1
            last = rectangles[-1] if rectangles else None
            adjacent = last and last.offset + last.size == offset
            if last and adjacent and (last.start, last.end) == (start, end):
                size = last.size + first.row_bytes
                rectangles[-1] = Rectangle(start, end, last.offset, size)
            else:
                rectangles.append(Rectangle(start, end, offset, first.row_bytes))
        if rectangles:
            blocks.append(Block(tuple(rectangles), alignment))

    def _chain(self, row: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """The rows that have one place, in order of time, if they are made at all."""
        while row in self.before:
            row = self.before[row]
        current: tuple[int, int] | None = row
        while current is not None:
            if self.birth[current[0]][current[1]] >= 0:
                yield current
            current = self.behind.get(current)
