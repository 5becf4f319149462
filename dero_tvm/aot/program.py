"""The generated program, before it is text: steps of nested row loops over kernel calls.

Both emitters walk it: `c_source` prints C, `host_program` builds TIR for the LLVM JIT.  What runs
on the host is therefore the same schedule at the same addresses as on the device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dero_tvm.planning.plan import MemoryPlan
from dero_tvm.schedule.network import Cascade, Network, Operation
from dero_tvm.schedule.to_problem import Scheduled, ring_buffer, scratch_buffer, state_buffer
from relax_passes.operators.row_ports import SINK, SOURCE
from relax_passes.streaming.row_schedule import RowSchedule

from .kernels import Kernel, KernelTable, NativeFunction, Parameter, RowCallback

_DEEPEST = 32  # loops in one another


@dataclass(frozen=True)
class Address:
    """`offset` bytes into a memory: ``arena:<region>``, ``input:<i>``, ``output:<i>``,
    or ``constant:<name>``.
    """

    base: str
    offset: int = 0


@dataclass(frozen=True)
class Argument:
    """A pointer argument; with `row_bytes`, the address of the row being made.

    That row lies at ``address + (row % ring) * row_bytes``; `ring` 0 stands for a whole tensor,
    which needs no remainder.
    """

    address: Address
    dtype: str
    row_bytes: int = 0
    ring: int = 0


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

    kernel: Kernel | NativeFunction | RowCallback
    arguments: tuple[Argument | int, ...]

    @property
    def passed(self) -> Iterator[tuple[Argument | int, Parameter]]:
        """Each argument and the parameter of the kernel, if it is one, that takes it."""
        if isinstance(self.kernel, RowCallback):
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
    kernel: Kernel | RowCallback
    arguments: tuple[Argument | int, ...]  # without the row
    rows: int  # calls of its kernel: one a row, 1 for an opaque kernel
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


@dataclass(frozen=True)
class StepProgram:
    """A cascade: the last stage runs over all its rows and drives the others.

    Rows are counted in order of execution; with `descending`, number i is row ``rows - 1 - i``.
    """

    name: str
    stages: tuple[Stage, ...]
    descending: bool = False


@dataclass(frozen=True)
class Program:
    """A whole inference: steps in order of execution over arenas, ports and constants."""

    network: Network
    plan: MemoryPlan
    kernels: tuple[Kernel, ...]  # portable ones, of all operations
    steps: tuple[StepProgram, ...]

    @property
    def c_kernels(self) -> tuple[Kernel | NativeFunction, ...]:
        """The functions that the C source calls, in the order of their first call."""
        called = (stage.in_c.kernel for step in self.steps for stage in step.stages)
        functions = {k.name: k for k in called if not isinstance(k, RowCallback)}
        return tuple(functions.values())


def build_program(scheduled: Scheduled, plan: MemoryPlan) -> Program:
    """The program that runs `scheduled` at the addresses of `plan`."""
    network = scheduled.network
    cascades = [network.cascades[index] for index in plan.order]
    table = KernelTable(cascades)
    writer = _Writer(network, plan, table)
    steps = tuple(writer.step(c, scheduled.schedules[c.name]) for c in cascades)
    return Program(network, plan, table.kernels, steps)


class _Writer:
    def __init__(self, network: Network, plan: MemoryPlan, table: KernelTable) -> None:
        self.network = network
        self.plan = plan
        self.table = table
        self.ports: dict[str, str] = {}  # buffers outside the arena
        self.callbacks: dict[str, str] = {}  # values whose rows the application has
        for kind, ports in (("input", network.inputs), ("output", network.outputs)):
            for index, port in enumerate(ports):
                if port.by_rows:
                    self.callbacks[port.value] = f"{kind}:{index}"
                elif plan.options.external_io:
                    self.ports[network.values[port.value].buffer] = f"{kind}:{index}"

    def step(self, cascade: Cascade, schedule: RowSchedule) -> StepProgram:
        shared = _with_functions(schedule)
        stages = []
        for index, op in enumerate(cascade.operations):
            asks = []
            for demand in schedule.demands:
                if demand.reader == index:
                    producer = cascade.operations[demand.producer].in_schedule()
                    last = op.in_schedule().asks(demand.operand, producer, cascade.descending)
                    asks.append((demand.producer, _rows_needed(last, producer.steps)))
            stages.append(
                Stage(
                    op,
                    self._kernel(op),
                    tuple(self._arguments(cascade, schedule, op)),
                    op.in_schedule().steps if op.function is None else 1,
                    tuple(asks),
                    complete=index in schedule.incomplete,
                    shared=index in shared,
                    native=self._native(cascade, schedule, op),
                )
            )
        return StepProgram(cascade.name, tuple(stages), cascade.descending)

    def _kernel(self, op: Operation) -> Kernel | RowCallback:
        if op.signature.operator == SOURCE:
            return RowCallback(self.callbacks[op.result], op.signature.output.row_bytes)
        if op.signature.operator == SINK:
            return RowCallback(self.callbacks[op.operands[0]], op.signature.inputs[0].row_bytes)
        return self.table.of(op)

    def _arguments(
        self, cascade: Cascade, schedule: RowSchedule, op: Operation
    ) -> Iterator[Argument | int]:
        if op.signature.operator == SINK:
            (name,), (spec,) = op.operands, op.signature.inputs
            address, ring = self._address(cascade, schedule, name), _ring_rows(schedule, name)
            yield Argument(address, spec.dtype, spec.row_bytes, ring)
            return
        for index, name in enumerate(op.operands):
            spec = op.signature.inputs[index]
            yield Argument(self._address(cascade, schedule, name), spec.dtype)
            if index in op.row_operands:
                yield _ring_rows(schedule, name) or spec.rows
        yield from self._results(cascade, schedule, op, 0 if op.state is not None else op.scratch)

    def _results(
        self, cascade: Cascade, schedule: RowSchedule, op: Operation, scratch: int
    ) -> Iterator[Argument]:
        """What a kernel writes: the output row, the state, its scratch."""
        output = op.signature.output
        address = self._address(cascade, schedule, op.result)
        if op.function is not None or op.state is not None:
            yield Argument(address, output.dtype)
        else:
            ring = _ring_rows(schedule, op.result)
            yield Argument(address, output.dtype, output.row_bytes, ring)
        if op.state is not None:
            yield Argument(self._placed(state_buffer(cascade, op)), op.state.dtype)
        if scratch:
            yield Argument(self._placed(scratch_buffer(cascade)), "int8")

    def _native(self, cascade: Cascade, schedule: RowSchedule, op: Operation) -> Call | None:
        """The call of an operation's native kernel; the same rows, but constants of its own."""
        if op.native is None:
            return None
        arguments: list[Argument | int] = []
        for index in op.row_operands:
            name, spec = op.operands[index], op.signature.inputs[index]
            arguments.append(Argument(self._address(cascade, schedule, name), spec.dtype))
            arguments.append(_ring_rows(schedule, name) or spec.rows)
        constants = self.network.constants
        for _, constant in op.native.constants:
            dtype = str(constants[constant].dtype)
            arguments.append(Argument(Address(f"constant:{constant}"), dtype))
        arguments += self._results(cascade, schedule, op, op.native.scratch)
        return Call(self.table.native(op, constants), tuple(arguments))

    def _address(self, cascade: Cascade, schedule: RowSchedule, name: str) -> Address:
        if name in self.network.constants:
            return Address(f"constant:{name}")
        ring = schedule.ring_of(name)
        if ring is not None:
            return self._placed(ring_buffer(cascade, ring))
        value = self.network.values[name]
        start = self._placed(value.buffer)
        return Address(start.base, start.offset + value.offset)

    def _placed(self, buffer: str) -> Address:
        if buffer in self.ports:
            return Address(self.ports[buffer])
        placement = self.plan.placements[buffer]
        return Address(f"arena:{placement.region}", placement.offset)


def _with_functions(schedule: RowSchedule) -> set[int]:
    """The stages whose rows a function makes.

    Those that are asked for at several places; and of stages that ask one for the other's rows,
    which are loops in loops, one in every `_DEEPEST`: compilers have limits, and so have readers.
    """
    askers = Counter(demand.producer for demand in schedule.demands)
    askers.update(schedule.incomplete)
    found = {producer for producer, count in askers.items() if count > 1}
    depth: Counter[int] = Counter()
    # Whoever asks for a stage's rows stands behind it.
    for demand in sorted(schedule.demands, key=lambda demand: demand.reader, reverse=True):
        if demand.producer not in found:
            depth[demand.producer] = depth[demand.reader] + 1
            if depth[demand.producer] == _DEEPEST:
                depth[demand.producer] = 0
                found.add(demand.producer)
    return found


def _ring_rows(schedule: RowSchedule, name: str) -> int:
    """Height of the ring that `name` lives in; 0 if it is whole."""
    ring = schedule.ring_of(name)
    return 0 if ring is None else schedule.rings[ring]


def _rows_needed(last: Sequence[int], limit: int) -> RowsNeeded:
    offset = int(last[0])
    for stride in sorted({int(s) for s in np.diff(last)}, reverse=True) or [0]:
        line = np.arange(len(last)) * stride + offset
        if np.array_equal(line, last):
            return RowsNeeded(stride, offset)
        if np.array_equal(np.minimum(limit, line), last):
            return RowsNeeded(stride, offset, limit)
    return RowsNeeded(table=tuple(last))
