"""An operator of a cascade: which rows of its operands each call of its kernel needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..operators import Signature, operator_of
from .row_needs import RowNeeds, calls_of, row_needs


@dataclass(frozen=True)
class CascadeOperator:
    """What the schedule has to know of one operator of a cascade."""

    signature: Signature
    operands: tuple[str, ...]
    result: str
    row_operands: tuple[int, ...]  # indices of the operands that are read row by row
    running_reduction: bool = False  # see `Operator.running_state`

    @cached_property
    def steps(self) -> int:
        """Calls of its kernel: one an output row, or one an input row of a running reduction."""
        if self.running_reduction:
            return self.signature.inputs[self.row_operands[0]].rows
        return calls_of(self.signature)

    @cached_property
    def rows_per_call(self) -> int:
        """Rows of the result that a call makes; the last one may make fewer."""
        operator = operator_of(self.signature.operator)
        return operator.rows_per_call(self.signature) if operator else 1

    @cached_property
    def rows_after(self) -> Sequence[int]:
        """Rows of the result that so many calls have made, if it is no running reduction."""
        several, rows = self.rows_per_call, self.signature.output.rows
        if several == 1:
            return range(self.steps + 1)
        return [min(calls * several, rows) for calls in range(self.steps + 1)]

    @cached_property
    def in_place(self) -> tuple[int, ...]:
        """The operands over whose rows it may write its own; see `in_place_arguments`."""
        operator = operator_of(self.signature.operator)
        return tuple(operator.in_place_arguments(self.signature)) if operator else ()

    def needs(self, operand: int, descending: bool = False) -> RowNeeds:
        """The rows of operand number `operand` that each call needs."""
        key = operand, descending
        if key not in self._needs:
            self._needs[key] = self._find_needs(operand, descending)
        return self._needs[key]

    @cached_property
    def _needs(self) -> dict[tuple[int, bool], RowNeeds]:
        return {}

    def _find_needs(self, operand: int, descending: bool) -> RowNeeds:
        if self.running_reduction:
            rows = np.arange(self.steps)
            return RowNeeds(self.steps, rows, rows + 1)
        return row_needs(self.signature, operand, descending)

    def asks(self, operand: int, producer: CascadeOperator, descending: bool = False) -> list[int]:
        """Calls of `producer` that must have been made before each call of this operator."""
        asks = self.needs(operand, descending).asks
        if producer.running_reduction:  # its row is there when it has taken all of its input
            return [producer.steps if last > 0 else 0 for last in asks]
        if producer.rows_per_call > 1:
            return [-(-last // producer.rows_per_call) for last in asks]
        return asks
