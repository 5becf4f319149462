"""What a program consists of: steps of stages, and the arguments of their kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dero_tvm.schedule.network import Operation

from .kernels import Kernel, NativeFunction, Parameter, RowCallback
from .row_places import Address


@dataclass(frozen=True)
class Argument:
    """A pointer argument; with `row_bytes`, the address of the row being made.

    That row lies at ``address + (row % ring) * row_bytes``; `ring` 0 stands for a whole tensor,
    which needs no remainder.  With a `table`, the name of a constant (see `row_tables`), it lies
    ``table[1 + row % table[0]]`` units of `unit` bytes behind the address.
    """

    address: Address
    dtype: str
    row_bytes: int = 0
    ring: int = 0
    table: str = ""
    unit: int = 1
    rows: int = 0  # that the table is asked for
    column: Column | None = None  # of the row, where the pointer goes
    pixel_bytes: int = 0  # to the next column


@dataclass(frozen=True)
class Column:
    """A column, or how many there are: entry `entry` of the window's in its table."""

    entry: int


@dataclass(frozen=True)
class RowsNeeded:
    """Rows of an operand to be made before row r: ``r * stride + offset``, but at most `limit`.

    Where no such line fits, `table[r]` holds the number.
    """

    stride: int = 0
    offset: int = 0
    limit: int | None = None  # None: the line stays within the operand
    table: tuple[int, ...] = ()


@dataclass(frozen=True)
class Call:
    """A kernel with its arguments, of which the row is left out.

    A `RowCallback` has one argument, the address of the row.
    """

    kernel: Kernel | NativeFunction | RowCallback | WindowLoop
    arguments: tuple[Argument | Column | int, ...]

    @property
    def passed(self) -> Iterator[tuple[Argument | Column | int, Parameter]]:
        """Each argument and the parameter of the kernel, if it is one, that takes it."""
        if isinstance(self.kernel, (RowCallback, WindowLoop)):
            return iter(())
        parameters = self.kernel.parameters[1:] if self.kernel.by_row else self.kernel.parameters
        return zip(self.arguments, parameters)


@dataclass(frozen=True)
class Stage:
    """One operation of a step: its kernel, its arguments, and whose rows it asks for first.

    `kernel` and `arguments` are the portable ones, which run on any machine; the C source makes
    the call `in_c`.
    """

    operation: Operation
    kernel: Kernel | RowCallback | WindowLoop
    arguments: tuple[Argument | Column | int, ...]  # without the row
    rows: int  # calls of its kernel: one a row, or a pass, 1 for an opaque kernel
    asks: tuple[tuple[int, RowsNeeded], ...] = ()  # (stage, rows needed)
    complete: bool = False  # rows that nobody asks for are made at the end
    shared: bool = False  # its rows are made by a function: at several places, or deep in loops
    native: Call | None = None

    @property
    def portable(self) -> Call:
        """The call of the portable kernel."""
        return Call(self.kernel, self.arguments)

    @property
    def in_c(self) -> Call:
        """The call that the C source makes."""
        return self.native or self.portable

    @property
    def inner(self) -> tuple[Stage, ...]:
        """The stages with kernels: those inside a loop over windows, or itself."""
        return self.kernel.stages if isinstance(self.kernel, WindowLoop) else (self,)

    @property
    def window_tables(self) -> tuple[str, ...]:
        """The constants that a loop over windows reads."""
        loop = self.kernel
        if not isinstance(loop, WindowLoop):
            return ()
        return (loop.columns, loop.first_rows) if len(loop.stages) > 1 else (loop.columns,)


@dataclass(frozen=True)
class WindowLoop:
    """Stands in place of a kernel for a group in windows of columns (see `ColumnGroup`).

    A call, which is told the number of the pass, makes `rows` of all `height` rows of the group's
    result.  In each of the `windows` the last of the `stages` goes over these rows, and drives the
    others, which begin with the rows that the constant `first_rows` has for the pass.  The columns
    that a stage begins and ends with are entries of the constant `columns`, two for each stage.  In
    strips that keep columns `moves` bring them to where the window begins, before all else.
    """

    stages: tuple[Stage, ...]
    rows: int
    height: int
    windows: int
    columns: str
    first_rows: str
    entries: int  # of `columns`, a window
    moves: tuple[StripMove, ...] = ()

    by_row = True


@dataclass(frozen=True)
class StripMove:
    """Columns that go to the beginning of their rows, of which there are `rows` at `address`.

    In each there are as many as the entry `count` says, as many columns behind as `behind` does.
    """

    address: Address
    rows: int
    row_bytes: int
    pixel_bytes: int
    count: Column
    behind: Column


@dataclass(frozen=True)
class CallList:
    """Which stage makes its next call, again and again.

    `constant` names the list, whose entries are numbers of stages.  A stage begins with row
    `first_rows` and goes on by one of `directions`, 1 or -1.
    """

    constant: str
    first_rows: tuple[int, ...]
    directions: tuple[int, ...]


@dataclass(frozen=True)
class StepProgram:
    """A cascade: the last stage runs over all its rows and drives the others.

    Rows are counted in order of execution; with `descending`, number i is row ``rows - 1 - i``.
    Where a list of `calls` drives all stages, which are those of several cascades, it says which
    rows they make.
    """

    name: str
    stages: tuple[Stage, ...]
    descending: bool = False
    calls: CallList | None = None

    @property
    def inner_stages(self) -> tuple[Stage, ...]:
        """All stages with kernels of their own."""
        return tuple(inner for stage in self.stages for inner in stage.inner)
