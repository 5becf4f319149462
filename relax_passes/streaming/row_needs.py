"""Which rows of an operand every call needs: the link between two operators of a cascade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..operators import Signature, operator_of


@dataclass(frozen=True, eq=False)
class RowNeeds:
    """Rows of one operand that each output row needs, as half-open ranges ``first[r]:last[r]``.

    Where a call makes several rows, r is the number of the call.  `first` of an empty range is the
    operand's height, so that it keeps nothing alive; `last` never falls, for a later row never asks
    for less than an earlier one has caused to be made.

    The lists that its methods give are kept: an operator is in the schedules of many cascades.
    """

    height: int  # rows of the operand
    first: np.ndarray
    last: np.ndarray

    def alive_from(self, rows: int) -> list[int]:
        """The oldest row that output row r or a later one needs, if no more than `rows` are made.

        One entry for every output row and one for the end, when nothing is needed.
        """
        if rows not in self._alive_from:
            self._alive_from[rows] = self._oldest_needed(rows)
        return self._alive_from[rows]

    @cached_property
    def asks(self) -> list[int]:
        """`last` as a list."""
        return self.last.tolist()

    @cached_property
    def _alive_from(self) -> dict[int, list[int]]:
        return {}

    def _oldest_needed(self, rows: int) -> list[int]:
        oldest = np.full(len(self.first) + 1, self.height, dtype=np.int64)
        oldest[:rows] = np.minimum.accumulate(self.first[:rows][::-1])[::-1]
        return oldest.tolist()


def calls_of(signature: Signature) -> int:
    """Calls of an operator's row kernel: mostly one a row of its result."""
    operator = operator_of(signature.operator)
    several = operator.rows_per_call(signature) if operator is not None else 1
    return -(-signature.output.rows // several)


@lru_cache(maxsize=65536)
def row_needs(signature: Signature, operand: int, descending: bool = False) -> RowNeeds:
    """The rows that an operator needs of operand number `operand`, for every call.

    All of them if it is opaque, or if it does not read that operand row by row.
    """
    operator = operator_of(signature.operator)
    rows = calls_of(signature)
    height = signature.inputs[operand].rows
    if operator is None or operand not in operator.row_arguments(signature):
        ranges = [(0, height)] * rows
    else:
        ranges = [operator.needed_rows(signature, operand, row) for row in range(rows)]
    if descending:
        ranges = [(height - end, height - begin) for begin, end in reversed(ranges)]
    first = np.array([begin for begin, _ in ranges], dtype=np.int64)
    end = np.array([end for _, end in ranges], dtype=np.int64)
    last = np.maximum.accumulate(np.where(end > first, end, 0))
    return RowNeeds(height, np.where(end > first, first, height), last)
