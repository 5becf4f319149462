"""A group of operators that is computed in windows of columns, as row schedules see it.

It stands there alone, never in a module.  A call makes several rows of the group's result, and
with them, in windows one after the other, everything inside the group that they need; so it reads
many rows of what comes from outside.
"""

from __future__ import annotations

from collections.abc import Sequence

from .registry import PREFIX, REQUIRED, Operator, OperatorClass, register_for_schedules
from .signature import Signature, TensorSpec


@register_for_schedules
class ColumnWindows(Operator):
    """The last operator of the group, with the others inside it.

    ``rows`` of the result are made by a call.  ``needs`` has for every argument and call the range
    of rows that it reads.  Of the arguments ``in_place`` row r is read to make row r of the result,
    and nothing else, so that this may be written over it.
    """

    name = "column_windows"
    memory_class = OperatorClass.SPATIAL
    arguments = ()
    defaults = {"rows": REQUIRED, "needs": REQUIRED, "in_place": ()}

    def argument_names(self, signature: Signature) -> tuple[str, ...]:
        return tuple(f"input{index}" for index in range(len(signature.inputs)))

    def row_arguments(self, signature: Signature) -> tuple[int, ...]:
        return tuple(range(len(signature.inputs)))

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        first, end = signature["needs"][argument][row]
        return first, end

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return tuple(signature["in_place"])

    def rows_per_call(self, signature: Signature) -> int:
        return int(signature["rows"])


COLUMN_WINDOWS = PREFIX + ColumnWindows.name


def group_signature(
    inputs: tuple[TensorSpec, ...],
    output: TensorSpec,
    rows: int,
    needs: Sequence[Sequence[tuple[int, int]]],
    in_place: Sequence[int],
) -> Signature:
    """The signature of a group with operands `inputs` from outside."""
    attrs = {"rows": rows, "needs": tuple(map(tuple, needs)), "in_place": tuple(in_place)}
    return Signature(COLUMN_WINDOWS, inputs, output, attrs)
