"""A network as column windows see it: tensors of rows of pixels, and operations in an order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..problem import BufferKind
from .reach import Reach


@dataclass(frozen=True)
class Tensor:
    """`rows` rows of `columns` pixels of `pixel_bytes` bytes."""

    name: str
    rows: int
    columns: int
    pixel_bytes: int
    kind: BufferKind = BufferKind.INTERMEDIATE
    in_sequence: bool = False  # rows lie one behind the other, as for kernels that want them so

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.columns * self.pixel_bytes

    @property
    def bytes(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Operand:
    """A tensor that an operation reads.

    `columns` is None if it is known only that a row of the result may need whole rows of it.
    """

    tensor: int
    rows: Reach
    columns: Reach | None
    in_place: bool = False  # the result's row may be written over its row of the same number


@dataclass(frozen=True)
class Operation:
    """One operation.  It makes a row of its result in a call, or parts of it in several.

    With `state` bytes of partial results it takes its first operand one row a call, and has its
    only result in the last one.  One that is `alone` runs by itself, over whole tensors.
    """

    name: str
    operands: tuple[Operand, ...]
    result: int  # a tensor
    macs: int = 0  # multiply-accumulates of the whole result
    scratch: int = 0  # bytes
    state: int = 0  # bytes
    alone: bool = False
    by_row: bool = False  # trades whole rows with the application

    @property
    def windowed(self) -> bool:
        """Whether it can make some columns of a row and leave the others."""
        known = all(operand.columns is not None for operand in self.operands)
        return known and not (self.alone or self.by_row or self.state)


@dataclass(frozen=True, eq=False)
class WindowNetwork:
    """Tensors, and the operations in the order in which they run.

    With `keep_inputs`, inputs hold their values to the end.
    """

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    keep_inputs: bool = False

    @cached_property
    def producers(self) -> dict[int, int]:
        """By tensor the operation that makes it; inputs have none."""
        return {op.result: index for index, op in enumerate(self.operations)}

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """By tensor the operations that read it, ascending."""
        found: list[dict[int, None]] = [{} for _ in self.tensors]
        for index, op in enumerate(self.operations):
            for operand in op.operands:
                found[operand.tensor][index] = None
        return tuple(map(tuple, found))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates if nothing is made twice."""
        return sum(op.macs for op in self.operations)

    def lasts(self, tensor: int) -> bool:
        """Whether a tensor is needed to the end."""
        kind = self.tensors[tensor].kind
        return kind is BufferKind.OUTPUT or kind is BufferKind.INPUT and self.keep_inputs

    def macs_of(self, operation: int, pixels: int) -> int:
        """Multiply-accumulates of so many pixels of an operation's result."""
        op = self.operations[operation]
        result = self.tensors[op.result]
        return op.macs * pixels // max(result.rows * result.columns, 1)
