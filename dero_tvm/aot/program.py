"""The generated program, before it is text: steps of nested row loops over kernel calls.

Both emitters walk it: `c_source` prints C, `host_program` builds TIR for the LLVM JIT.  What runs
on the host is therefore the same schedule at the same addresses as on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dero_tvm.planning.plan import MemoryPlan
from dero_tvm.planning.rows.runs import Run
from dero_tvm.schedule.network import Cascade, Network, Operation, joint_name
from dero_tvm.schedule.to_problem import Scheduled, scratch_buffer, state_buffer
from relax_passes.operators.row_ports import SINK, SOURCE
from relax_passes.streaming.row_schedule import RowSchedule

from .asks import rows_needed, with_functions
from .column_tables import window_tables
from .kernels import Kernel, KernelTable, NativeFunction, RowCallback
from .pointers import Pointers, row_of
from .row_places import RowPlaces
from .stages import Argument, Call, CallList, Stage, StepProgram, WindowLoop
from .window_loops import WindowLoops

_STAGES_IN_A_BYTE = 1 << 8


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
        functions = {k.name: k for k in self._called if isinstance(k, (Kernel, NativeFunction))}
        return tuple(functions.values())

    @property
    def support(self) -> tuple[Path, ...]:
        """The files of C that these functions call, each once, by their first call."""
        natives = (k for k in self._called if isinstance(k, NativeFunction))
        return tuple(dict.fromkeys(file for kernel in natives for file in kernel.support))

    @property
    def _called(self) -> Iterator[object]:
        return (stage.in_c.kernel for step in self.steps for stage in step.inner_stages)


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
        self.pointers = Pointers(places, network.constants)
        self.windows = WindowLoops(table, places, self.pointers)
        self.callbacks: dict[str, str] = {}  # values whose rows the application has
        for kind, ports in (("input", network.inputs), ("output", network.outputs)):
            for index, port in enumerate(ports):
                if port.row_streamed:
                    self.callbacks[port.value] = f"{kind}:{index}"

    def step(self, cascade: Cascade, schedule: RowSchedule) -> StepProgram:
        shared = with_functions(schedule.demands, schedule.incomplete)
        stages = []
        for index, op in enumerate(cascade.operations):
            asks = []
            for demand in schedule.demands:
                if demand.reader == index:
                    producer = cascade.operations[demand.producer].in_schedule()
                    last = op.in_schedule().asks(demand.operand, producer, cascade.descending)
                    asks.append((demand.producer, rows_needed(last, producer.steps)))
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
            return self.windows.loop(cascade, op, op.group)
        return self.table.of(op, self.places.tabled(op))

    def _arguments(self, cascade: Cascade, op: Operation) -> Iterator[Argument | int]:
        if op.group is not None:  # those of its parts
            return
        if op.signature.operator == SINK:
            (name,), (spec,) = op.operands, op.signature.inputs
            yield row_of(self.places.of(cascade, name), spec)
            return
        for index, name in enumerate(op.operands):
            spec = op.signature.inputs[index]
            if index in op.row_operands:
                yield from self.pointers.rows(cascade, name, spec)
            else:
                yield Argument(self.places.of(cascade, name).address, spec.dtype)
        yield from self._results(cascade, op, 0 if op.state is not None else op.scratch)

    def _results(self, cascade: Cascade, op: Operation, scratch: int) -> Iterator[Argument]:
        """What a kernel writes: the output row, the state, its scratch."""
        place = self.places.of(cascade, op.result)
        output = op.signature.output
        if op.function is not None or op.state is not None:
            yield Argument(place.address, output.dtype)
        else:
            yield row_of(place, output)
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
            arguments += self.pointers.rows(cascade, op.operands[index], op.signature.inputs[index])
        constants = self.network.constants
        arguments += self.pointers.constants(op.native)
        arguments += self._results(cascade, op, op.native.scratch)
        kernel = self.table.native(op, constants, self.places.tabled(op))
        return Call(kernel, tuple(arguments))
