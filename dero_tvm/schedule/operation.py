"""An operation of a network, and the group in windows of columns that one may stand for."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from tvm import tirx

from relax_passes.operators import Signature, TensorSpec
from relax_passes.streaming.cascade_operator import CascadeOperator
from relax_passes.streaming.row_schedule import PassSchedule

from .row_offsets import Body, RowOffsets, body_text


@dataclass(frozen=True)
class NativeKernel:
    """A kernel in C for a board's core, in place of the portable one (see `kernels.CKernel`)."""

    name: str
    body: Body
    constants: tuple[tuple[str, str], ...]  # parameter, name of the network's constant
    scratch: int = 0  # bytes
    support: tuple[Path, ...] = ()
    qualifiers: str = ""
    ranges: bool = False  # it can make some columns of its row

    @property
    def takes_tables(self) -> bool:
        """Whether it can look up where the rows of its operands lie."""
        return not isinstance(self.body, str)

    def text(self, offsets: RowOffsets) -> str:
        """The statements for operands that lie as `offsets` says."""
        return body_text(self.body, offsets)


@dataclass(frozen=True)
class Operation:
    """One operator call: operands are names of values or of constants, in call order."""

    name: str
    signature: Signature
    operands: tuple[str, ...]
    result: str
    row_operands: tuple[int, ...]  # indices of the operands that are read row by row
    scratch: int = 0  # bytes
    macs: int = 0
    state: TensorSpec | None = None  # set if it is a running reduction
    function: tirx.PrimFunc | None = None  # an opaque operator's own kernel, over whole tensors
    native: NativeKernel | None = None  # what the C source calls; the host runs the portable kernel
    group: ColumnGroup | None = None  # set if it stands for several, in windows of columns
    again: bool = False  # it makes what another operation has made, so that this need not wait

    @property
    def scratch_bytes(self) -> int:
        """Scratch that whichever kernel runs finds room in."""
        return max(self.scratch, self.native.scratch if self.native else 0)

    @property
    def parts(self) -> tuple[Operation, ...]:
        """The operations with kernels: those of a group, or itself."""
        return self.group.operations if self.group else (self,)

    def strips_of(self, part: Operation) -> dict[int, int] | None:
        """The operands of a part of a group that come in strips, with the elements of their rows.

        None if it is no group.
        """
        return self.group.strips_of(part) if self.group else None

    def constants_of(self, constants: Container[str]) -> tuple[str, ...]:
        """Names of those of a network's `constants` that its kernel reads, each once."""
        own = [o for i, o in enumerate(self.operands) if not self.native or i in self.row_operands]
        packed = [name for _, name in self.native.constants] if self.native else []
        return tuple(name for name in dict.fromkeys((*own, *packed)) if name in constants)

    def in_schedule(self) -> CascadeOperator:
        """What the row schedule has to know of it."""
        running_reduction = self.state is not None
        return CascadeOperator(
            self.signature, self.operands, self.result, self.row_operands, running_reduction
        )


Span = tuple[int, int]
"""A half-open range of columns."""


@dataclass(frozen=True)
class ColumnSpans:
    """By window and operation: `made` in the window, and `held` when it is done.

    What is held and not made has stayed from the window before.
    """

    made: tuple[tuple[Span, ...], ...]
    held: tuple[tuple[Span, ...], ...]

    def keeps(self, operation: int) -> bool:
        """Whether columns of an operation's result stay in some window."""
        pairs = zip(self.made, self.held, strict=True)
        return any(held[operation][0] < made[operation][0] for made, held in pairs)

    def widest(self, operation: int) -> int:
        """The most columns of an operation's result that are held."""
        return max(held[operation][1] - held[operation][0] for held in self.held)


@dataclass(frozen=True)
class StripPlace:
    """Row r of a strip begins ``offset + r % rows * row_bytes`` bytes into the patch."""

    offset: int
    rows: int
    row_bytes: int


@dataclass(frozen=True)
class ColumnGroup:
    """Operations in windows of columns; the last one makes the group's result.

    `spans` has for every window the columns that each operation makes.
    """

    operations: tuple[Operation, ...]
    rows: int  # of the result, a pass
    spans: ColumnSpans
    schedule: PassSchedule
    strips: dict[str, StripPlace]  # by value
    scratch: int  # bytes from the start of the patch
    patch_bytes: int

    @property
    def columns(self) -> tuple[tuple[Span, ...], ...]:
        """For every window the range of columns that each operation makes."""
        return self.spans.made

    @cached_property
    def keeping(self) -> tuple[int, ...]:
        """The operations of whose results columns stay from one window to the next."""
        return tuple(filter(self.spans.keeps, range(len(self.operations))))

    def strips_of(self, part: Operation) -> dict[int, int]:
        """The operands of one of the operations that come in strips, with elements of a row."""
        return {
            index: self.strips[name].row_bytes // part.signature.inputs[index].itemsize
            for index, name in enumerate(part.operands)
            if name in self.strips
        }

    def macs_of(self, turn: int) -> Fraction:
        """Multiply-accumulates of all windows of pass number `turn`."""
        total = Fraction(0)
        made = zip(self.schedule.first[turn], self.schedule.end[turn], strict=True)
        for index, (op, (first, end)) in enumerate(zip(self.operations, made, strict=True)):
            output = op.signature.output
            columns = sum(window[index][1] - window[index][0] for window in self.columns)
            whole = max(output.rows * output.pixels, 1)
            total += Fraction(op.macs * (end - first) * columns, whole)
        return total

    def calls_of(self, operation: int) -> int:
        """Rows of windows that one of the operations makes in all passes."""
        windows = sum(window[operation][0] < window[operation][1] for window in self.columns)
        passes = zip(self.schedule.first, self.schedule.end, strict=True)
        return windows * sum(end[operation] - first[operation] for first, end in passes)

    @property
    def kernel_calls(self) -> int:
        """Rows of windows that all operations make in all passes."""
        return sum(map(self.calls_of, range(len(self.operations))))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all passes, those that are made again included."""
        return int(sum(map(self.macs_of, range(len(self.schedule.first))), Fraction(0)))
