"""The generated program, before it is text: steps of nested row loops over kernel calls.

Both emitters walk it: `c_source` prints C, `host_program` builds TIR for the LLVM JIT.  What runs
on the host is therefore the same schedule at the same addresses as on the device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dero_tvm.planning.plan import MemoryPlan
from dero_tvm.planning.rows.runs import Run
from dero_tvm.schedule.column_groups import ColumnGroup
from dero_tvm.schedule.network import Cascade, NativeKernel, Network, Operation, joint_name
from dero_tvm.schedule.to_problem import Scheduled, scratch_buffer, state_buffer, work_buffer
from relax_passes.operators import TensorSpec
from relax_passes.operators.row_ports import SINK, SOURCE
from relax_passes.streaming.row_schedule import Demand, RowSchedule

from . import row_tables
from .column_tables import columns_name, entries_of, first_rows_name, kept_entry, window_tables
from .kernels import Kernel, KernelTable, NativeFunction, Parameter, RowCallback
from .row_places import Address, RowPlace, RowPlaces

_DEEPEST = 32  # loops in one another
_STAGES_IN_A_BYTE = 1 << 8


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


@dataclass(frozen=True)
class Program:
    """A whole inference: steps in order of execution over arenas, ports and constants."""

    network: Network
    plan: MemoryPlan
    kernels: tuple[Kernel, ...]  # portable ones, of all operations
    steps: tuple[StepProgram, ...]
    tables: tuple[str, ...] = ()  # constants of the program's own: where rows lie

    @property
    def table_bytes(self) -> int:
        """Bytes in flash of its `tables`."""
        return sum(self.network.constants[name].nbytes for name in self.tables)

    @property
    def operator_tables(self) -> dict[str, int]:
        """Bytes of `tables` by the result of the operator that uses each first."""
        found: dict[str, int] = {}
        left = set(self.tables)
        for stage in (stage for step in self.steps for stage in step.stages):
            bases = [a.address.base for a in stage.in_c.arguments if isinstance(a, Argument)]
            used = {base.partition(":")[2] for base in bases}
            used |= {a.table for a in stage.in_c.arguments if isinstance(a, Argument)}
            own = sorted(used & left)
            left.difference_update(own)
            if own:
                size = sum(self.network.constants[name].nbytes for name in own)
                found[stage.operation.result] = size
        return found

    @property
    def call_lists(self) -> tuple[int, ...]:
        """For each step the bytes of `tables` that list its calls."""
        lists = (step.calls.constant if step.calls else "" for step in self.steps)
        return tuple(self.network.constants[name].nbytes if name else 0 for name in lists)

    @property
    def counted(self) -> tuple[str, ...]:
        """The operators of steps that run several, by their results, in the order of the C source.

        A profile counts each; what a step of one operator takes, the step's own counter says.
        """
        several = (step for step in self.steps if len(step.stages) > 1)
        return tuple(stage.operation.result for step in several for stage in step.stages)

    @property
    def c_kernels(self) -> tuple[Kernel | NativeFunction, ...]:
        """The functions that the C source calls, in the order of their first call."""
        called = (stage.in_c.kernel for step in self.steps for stage in step.inner_stages)
        functions = {k.name: k for k in called if isinstance(k, (Kernel, NativeFunction))}
        return tuple(functions.values())


def build_program(scheduled: Scheduled, plan: MemoryPlan) -> Program:
    """The program that runs `scheduled` at the addresses of `plan`."""
    places = RowPlaces(scheduled, plan)
    windows = window_tables(scheduled.network)
    constants = {**scheduled.network.constants, **places.tables, **windows}
    network = replace(scheduled.network, constants=constants)
    cascades = [network.cascades[index] for index in plan.order]
    table = KernelTable(cascades, places.tabled)
    writer = _Writer(network, plan, table, places)
    steps: list[StepProgram] = []
    for run in plan.runs:
        part = cascades[run.first : run.end]
        if sum(len(cascade.operations) for cascade in part) > 1 and run.calls:
            name = f"calls_{len(steps)}"
            step, constants[name] = writer.listed(part, run, name)
        else:
            (cascade,) = part
            step = writer.step(cascade, scheduled.schedules[cascade.name])
            if run.calls:  # of one operation, from the other end
                descending = run.calls[0].row > run.calls[-1].row
                step = replace(step, descending=descending)
        steps.append(step)
    own = (*places.tables, *windows, *(name for name in constants if name.startswith("calls_")))
    return Program(network, plan, table.kernels, tuple(steps), own)


class _Writer:
    def __init__(
        self, network: Network, plan: MemoryPlan, table: KernelTable, places: RowPlaces
    ) -> None:
        self.network = network
        self.plan = plan
        self.table = table
        self.places = places
        self.callbacks: dict[str, str] = {}  # values whose rows the application has
        for kind, ports in (("input", network.inputs), ("output", network.outputs)):
            for index, port in enumerate(ports):
                if port.row_streamed:
                    self.callbacks[port.value] = f"{kind}:{index}"

    def step(self, cascade: Cascade, schedule: RowSchedule) -> StepProgram:
        shared = _with_functions(schedule.demands, schedule.incomplete)
        stages = []
        for index, op in enumerate(cascade.operations):
            asks = []
            for demand in schedule.demands:
                if demand.reader == index:
                    producer = cascade.operations[demand.producer].in_schedule()
                    last = op.in_schedule().asks(demand.operand, producer, cascade.descending)
                    asks.append((demand.producer, _rows_needed(last, producer.steps)))
            stage = self._stage(cascade, op)
            complete, is_shared = index in schedule.incomplete, index in shared
            stages.append(replace(stage, asks=tuple(asks), complete=complete, shared=is_shared))
        return StepProgram(cascade.name, tuple(stages), cascade.descending)

    def listed(
        self, cascades: Sequence[Cascade], run: Run, constant: str
    ) -> tuple[StepProgram, np.ndarray]:
        """The step of cascades that run into each other, and the list of its calls."""
        numbers: dict[tuple[int, int], int] = {}  # of the stages, by cascade and operation
        rows: dict[int, list[int]] = {}
        listed = []
        for call in run.calls:
            number = numbers.setdefault((call.step, call.operation), len(numbers))
            rows.setdefault(number, []).append(call.row)
            listed.append(number)
        stages = []
        for step, operation in numbers:
            cascade = cascades[step - run.first]
            stages.append(self._stage(cascade, cascade.operations[operation]))
        directions = tuple(-1 if made[-1] < made[0] else 1 for made in rows.values())
        calls = CallList(constant, tuple(made[0] for made in rows.values()), directions)
        entry = np.uint8 if len(stages) <= _STAGES_IN_A_BYTE else np.uint16
        step_program = StepProgram(joint_name(cascades), tuple(stages), calls=calls)
        return step_program, np.array(listed, entry)

    def _stage(self, cascade: Cascade, op: Operation) -> Stage:
        """The stage of an operation, which nobody asks for rows as yet."""
        return Stage(
            op,
            self._kernel(cascade, op),
            tuple(self._arguments(cascade, op)),
            op.in_schedule().steps if op.function is None else 1,
            native=self._native(cascade, op),
        )

    def _kernel(self, cascade: Cascade, op: Operation) -> Kernel | RowCallback | WindowLoop:
        if op.signature.operator == SOURCE:
            return RowCallback(self.callbacks[op.result], op.signature.output.row_bytes)
        if op.signature.operator == SINK:
            return RowCallback(self.callbacks[op.operands[0]], op.signature.inputs[0].row_bytes)
        if op.group is not None:
            return self._window_loop(cascade, op, op.group)
        return self.table.of(op, self.places.tabled(op))

    def _window_loop(self, cascade: Cascade, op: Operation, group: ColumnGroup) -> WindowLoop:
        driver = len(group.operations) - 1
        operators = [part.in_schedule() for part in group.operations]
        asks: list[list[tuple[int, RowsNeeded]]] = [[] for _ in operators]
        for demand in group.schedule.demands:
            producer = operators[demand.producer]
            last = operators[demand.reader].asks(demand.operand, producer)
            asks[demand.reader].append((demand.producer, _rows_needed(last, producer.steps)))
        shared = _with_functions(group.schedule.demands)
        stages = tuple(
            Stage(
                part,
                self.table.of(part, self.places.tabled(part), group.strips_of(part)),
                tuple(self._arguments_in_window(cascade, op, group, index)),
                operators[index].steps,
                tuple(asks[index]),
                shared=index in shared,
                native=self._native_in_window(cascade, op, group, index),
            )
            for index, part in enumerate(group.operations)
        )
        output = group.operations[driver].signature.output
        return WindowLoop(
            stages,
            group.rows,
            output.rows,
            len(group.columns),
            columns_name(op),
            first_rows_name(op),
            entries_of(group),
            tuple(self._moves(cascade, op, group)),
        )

    def _moves(self, cascade: Cascade, op: Operation, group: ColumnGroup) -> Iterator[StripMove]:
        for number in group.keeping:
            part, entry = group.operations[number], kept_entry(group, number)
            strip, spec = group.strips[part.result], part.signature.output
            patch = self.places.of_buffer(work_buffer(cascade, op))
            yield StripMove(
                patch.moved(strip.offset),
                strip.rows,
                strip.row_bytes,
                spec.pixel_stride * spec.itemsize,
                Column(entry + 1),
                Column(entry + 2),
            )

    def _native_in_window(
        self, cascade: Cascade, op: Operation, group: ColumnGroup, number: int
    ) -> Call | None:
        """The call of the native kernel of operation `number` of a group, if it has one."""
        part = group.operations[number]
        if part.native is None:
            return None
        arguments = self._arguments_in_window(cascade, op, group, number, native=True)
        strips, tabled = group.strips_of(part), self.places.tabled(part)
        kernel = self.table.native(part, self.network.constants, tabled, strips)
        return Call(kernel, tuple(arguments))

    def _arguments_in_window(
        self,
        cascade: Cascade,
        op: Operation,
        group: ColumnGroup,
        number: int,
        *,
        native: bool = False,
    ) -> Iterator[Argument | Column | int]:
        """The arguments of operation `number` of a group: what it reads, writes, and where."""
        part, own = group.operations[number], 2 * number
        patch = self.places.of_buffer(work_buffer(cascade, op)) if group.patch_bytes else None
        made = {other.result: index for index, other in enumerate(group.operations)}
        strips: list[Column] = []
        for index, name in enumerate(part.operands):
            spec = part.signature.inputs[index]
            strip = group.strips.get(name)
            if strip is not None:
                assert patch is not None
                yield Argument(patch.moved(strip.offset), spec.dtype)
                yield strip.rows
                producer = made[name]
                keeps = producer in group.keeping
                strips.append(Column(kept_entry(group, producer) if keeps else 2 * producer))
            elif index in part.row_operands:
                yield from self._rows(cascade, name, spec)
            elif not native:
                yield Argument(self.places.of(cascade, name).address, spec.dtype)
        scratch = part.scratch
        if native and part.native is not None:
            yield from self._constants(part.native)
            scratch = part.native.scratch
        output = part.signature.output
        pixel_bytes = output.pixel_stride * output.itemsize
        strip = group.strips.get(part.result)
        if strip is None:
            row = _row_of(self.places.of(cascade, part.result), output)
            row = replace(row, column=Column(own), pixel_bytes=pixel_bytes)
        else:
            assert patch is not None
            address = patch.moved(strip.offset)
            row = Argument(address, output.dtype, strip.row_bytes, strip.rows)
            if number in group.keeping:  # behind those that have stayed
                stayed = Column(kept_entry(group, number) + 1)
                row = replace(row, column=stayed, pixel_bytes=pixel_bytes)
        yield row
        if scratch:
            assert patch is not None
            yield Argument(patch.moved(group.scratch), "int8")
        yield from (*strips, Column(own), Column(own + 1))

    def _arguments(self, cascade: Cascade, op: Operation) -> Iterator[Argument | int]:
        if op.group is not None:  # those of its parts
            return
        if op.signature.operator == SINK:
            (name,), (spec,) = op.operands, op.signature.inputs
            yield _row_of(self.places.of(cascade, name), spec)
            return
        for index, name in enumerate(op.operands):
            spec = op.signature.inputs[index]
            if index in op.row_operands:
                yield from self._rows(cascade, name, spec)
            else:
                yield Argument(self.places.of(cascade, name).address, spec.dtype)
        yield from self._results(cascade, op, 0 if op.state is not None else op.scratch)

    def _rows(self, cascade: Cascade, name: str, spec: TensorSpec) -> Iterator[Argument | int]:
        """An operand that is read row by row: its base, and how its rows are found."""
        place = self.places.of(cascade, name)
        yield Argument(place.address, spec.dtype)
        if place.table:
            yield Argument(Address(f"constant:{place.table}"), row_tables.ENTRY, unit=place.unit)
        else:
            yield place.ring or spec.rows

    def _results(self, cascade: Cascade, op: Operation, scratch: int) -> Iterator[Argument]:
        """What a kernel writes: the output row, the state, its scratch."""
        place = self.places.of(cascade, op.result)
        output = op.signature.output
        if op.function is not None or op.state is not None:
            yield Argument(place.address, output.dtype)
        else:
            yield _row_of(place, output)
        if op.state is not None:
            address = self.places.of_buffer(state_buffer(cascade, op))
            yield Argument(address, op.state.dtype)
        if scratch:
            yield Argument(self.places.of_buffer(scratch_buffer(cascade)), "int8")

    def _native(self, cascade: Cascade, op: Operation) -> Call | None:
        """The call of an operation's native kernel; the same rows, but constants of its own."""
        if op.native is None:
            return None
        arguments: list[Argument | int] = []
        for index in op.row_operands:
            arguments += self._rows(cascade, op.operands[index], op.signature.inputs[index])
        constants = self.network.constants
        arguments += self._constants(op.native)
        arguments += self._results(cascade, op, op.native.scratch)
        kernel = self.table.native(op, constants, self.places.tabled(op))
        return Call(kernel, tuple(arguments))

    def _constants(self, native: NativeKernel) -> Iterator[Argument]:
        """The packed constants of a native kernel."""
        for _, constant in native.constants:
            dtype = str(self.network.constants[constant].dtype)
            yield Argument(Address(f"constant:{constant}"), dtype)


def _row_of(place: RowPlace, spec: TensorSpec) -> Argument:
    """The address of the row that is being made, or handed over."""
    return Argument(
        place.address, spec.dtype, spec.row_bytes, place.ring, place.table, place.unit, spec.rows
    )


def _with_functions(demands: Sequence[Demand], incomplete: Sequence[int] = ()) -> set[int]:
    """The stages whose rows a function makes.

    Those that are asked for at several places; and of stages that ask one for the other's rows,
    which are loops in loops, one in every `_DEEPEST`: compilers have limits, and so have readers.
    """
    askers = Counter(demand.producer for demand in demands)
    askers.update(incomplete)
    found = {producer for producer, count in askers.items() if count > 1}
    depth: Counter[int] = Counter()
    # Whoever asks for a stage's rows stands behind it.
    for demand in sorted(demands, key=lambda demand: demand.reader, reverse=True):
        if demand.producer not in found:
            depth[demand.producer] = depth[demand.reader] + 1
            if depth[demand.producer] == _DEEPEST:
                depth[demand.producer] = 0
                found.add(demand.producer)
    return found


def _rows_needed(last: Sequence[int], limit: int) -> RowsNeeded:
    offset = int(last[0])
    for stride in sorted({int(s) for s in np.diff(last)}, reverse=True) or [0]:
        line = np.arange(len(last)) * stride + offset
        if np.array_equal(line, last):
            return RowsNeeded(stride, offset)
        if np.array_equal(np.minimum(limit, line), last):
            return RowsNeeded(stride, offset, limit)
    return RowsNeeded(table=tuple(last))
