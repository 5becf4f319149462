"""A network as calls of row kernels: which rows each call reads, and which one it makes.

Time is the number of a call.  A tensor here is what lies in memory: a whole tensor between
cascades, one inside a cascade, the partial results of a reduction, or scratch.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..problem import BufferKind


@dataclass(frozen=True)
class RowTensor:
    """Something in memory that consists of `rows` rows of `row_bytes` bytes.

    Rows of a tensor `in_sequence` lie one behind the other, as the arrays of the interface do and
    as kernels want them that do not go by rows; those of others lie anywhere.
    """

    name: str  # of the buffer
    rows: int
    row_bytes: int
    alignment: int = 1  # bytes, of every row that lies alone, and of the first one in a sequence
    kind: BufferKind = BufferKind.INTERMEDIATE
    in_sequence: bool = False
    label: str = ""  # what a report calls it

    @property
    def bytes(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class RowRange:
    """Rows ``[first, end)`` of tensor number `tensor`."""

    tensor: int
    first: int
    end: int


@dataclass(frozen=True)
class Call:
    """One call of a kernel.

    `reads` are rows that hold their values until the call is over, and `writes` those that have a
    new value behind it; the partial results of a reduction are both.  `uses` are tensors that hold
    values during the call alone: scratch.  `in_place` lists rows that the kernel may overwrite with
    the row it makes, at the same address.
    """

    step: int  # position of its cascade in the order of execution
    operation: int  # number of the operation in its cascade
    row: int  # what the kernel is told
    reads: tuple[RowRange, ...] = ()
    writes: tuple[RowRange, ...] = ()
    uses: tuple[int, ...] = ()
    in_place: tuple[RowRange, ...] = ()


@dataclass(frozen=True)
class RowProblem:
    """Tensors, and the calls of one inference in order of execution.

    Rows of an INPUT are there from the start (and to the end with `keep_inputs`); those of an
    OUTPUT stay to the end.
    """

    tensors: tuple[RowTensor, ...]
    calls: tuple[Call, ...]
    keep_inputs: bool = False

    def stays(self, tensor: RowTensor) -> bool:
        """Whether the rows of a tensor keep their places to the end."""
        kept = tensor.kind is BufferKind.INPUT and self.keep_inputs
        return kept or tensor.kind is BufferKind.OUTPUT
