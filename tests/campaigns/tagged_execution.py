"""Runs a generated program with tags in place of values.

Every byte of every tensor has a tag of its own.  A kernel call checks that each byte it needs
holds the tag that it should hold at that moment, and then writes the tags of its output row.  A
row overwritten too early, a ring too low, a wrong address or a row never made shows at the first
byte, whatever the kernels would have computed from it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from dero_tvm.aot.program import Program
from dero_tvm.aot.stages import Argument, RowsNeeded, Stage, StepProgram
from dero_tvm.schedule.network import Operation
from relax_passes.operators import TensorSpec, operator_of

_STRIDE = 1 << 32  # tags of one buffer
_SCRATCH = -2


def run_with_tags(program: Program) -> Counter[str]:
    """Run `program`; returns the kernel calls by operation.  AssertionError where it is wrong."""
    return _Machine(program).run()


class _Machine:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.network = program.network
        buffers = dict.fromkeys(value.buffer for value in self.network.values.values())
        self.tag_of = {name: number * _STRIDE for number, name in enumerate(buffers, 1)}
        self.memory: dict[str, np.ndarray] = {}
        self.calls: Counter[str] = Counter()
        plan = program.plan
        for region, size in plan.arena_bytes.items():
            self.memory[f"arena:{region}"] = np.full(size, -1, np.int64)
        if plan.options.external_io:
            for kind, ports in (("input", self.network.inputs), ("output", self.network.outputs)):
                for index, port in enumerate(ports):
                    size = self.network.values[port.value].spec.bytes
                    self.memory[f"{kind}:{index}"] = np.full(size, -1, np.int64)

    def run(self) -> Counter[str]:
        for index, port in enumerate(self.network.inputs):
            place, expected = self._port("input", index, port.value)
            place[:] = expected
        for step in self.program.steps:
            _Step(self, step, tuple(stage.operation for stage in step.stages)).run()
        kept = self.network.inputs if self.program.plan.options.keep_inputs else ()
        for kind, ports in (("output", self.network.outputs), ("input", kept)):
            for index, port in enumerate(ports):
                place, expected = self._port(kind, index, port.value)
                assert (place == expected).all(), f"{kind} {port.name} is not there at the end"
        return self.calls

    def _port(self, kind: str, index: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Where a port's bytes lie and the tags they should hold."""
        value = self.network.values[name]
        assert value.spec.dense
        tags = self.tag_of[value.buffer] + value.offset + np.arange(value.spec.bytes)
        if self.program.plan.options.external_io:
            return self.memory[f"{kind}:{index}"], tags
        placement = self.program.plan.placements[value.buffer]
        start = placement.offset + value.offset
        arena = self.memory[f"arena:{placement.region}"]
        return arena[start : start + value.spec.bytes], tags


class _Step:
    def __init__(
        self, machine: _Machine, step: StepProgram, operations: tuple[Operation, ...]
    ) -> None:
        self.machine = machine
        self.step = step
        self.operations = operations
        self.made = [0] * len(operations)

    def run(self) -> None:
        if self.step.calls is not None:
            for index in self.machine.network.constants[self.step.calls.constant].tolist():
                self._call(index, self.step.stages[index], self.operations[index])
                self.made[index] += 1
            return
        final = len(self.operations) - 1
        self._make_until(final, self.step.stages[final].rows)
        for index, stage in enumerate(self.step.stages):
            if stage.complete:
                self._make_until(index, stage.rows)

    def _make_until(self, index: int, until: int) -> None:
        stage = self.step.stages[index]
        while self.made[index] < until:
            assert self.made[index] < stage.rows, "asked for more rows than there are"
            for producer, needed in stage.asks:
                self._make_until(producer, _rows(needed, self.made[index]))
            self._call(index, stage, self.operations[index])
            self.made[index] += 1

    def _call(self, index: int, stage: Stage, op: Operation) -> None:
        number = self.made[index]
        row = stage.rows - 1 - number if self.step.descending else number
        if self.step.calls is not None:
            first, direction = self.step.calls.first_rows[index], self.step.calls.directions[index]
            row = first + direction * number
        self.machine.calls[op.name] += 1
        arguments = list(stage.arguments)
        reads: list[tuple[int, Argument, int | Argument, range]] = []
        for operand, name in enumerate(op.operands):
            argument = arguments.pop(0)
            spec = op.signature.inputs[operand]
            ring = arguments.pop(0) if operand in op.row_operands else spec.rows
            assert isinstance(argument, Argument)
            if name in self.machine.network.values:
                rows = _rows_read(op, operand, row)
                reads.append((operand, argument, ring, rows))
                for needed in rows:
                    self._check_row(op, operand, argument, ring, needed)
        out = arguments.pop(0)
        for extra in arguments:
            self._scratch(op, extra, number)
        if op.state is not None:
            if number == stage.rows - 1:
                self._write(op, out, 0, reads)
        elif op.function is not None:
            for made in range(op.signature.output.rows):
                whole = Argument(out.address, out.dtype, op.signature.output.row_bytes)
                self._write(op, whole, made, reads)
        else:
            self._write(op, out, row, reads)

    def _check_row(
        self, op: Operation, operand: int, argument: Argument, ring: int | Argument, row: int
    ):
        value = self.machine.network.values[op.operands[operand]]
        spec = op.signature.inputs[operand]
        positions = _positions(spec)
        start = argument.address.offset + self._offset(ring, row, spec.row_bytes)
        found = self.machine.memory[argument.address.base][start + positions]
        expected = self.machine.tag_of[value.buffer] + value.offset + row * spec.row_bytes
        assert (found == expected + positions).all(), (
            f"{op.name} needs row {row} of {value.name}, which is not there"
        )

    def _offset(self, ring: int | Argument, row: int, row_bytes: int) -> int:
        """Where a row begins, from its operand's base: in a ring, or where a table says."""
        if isinstance(ring, int):
            return row % ring * row_bytes
        return self._in_table(ring.address.base.removeprefix("constant:"), row) * ring.unit

    def _in_table(self, name: str, row: int) -> int:
        period, *entries = self.machine.network.constants[name].tolist()
        return entries[row % period]

    def _write(self, op: Operation, out: Argument, row: int, reads: list) -> None:
        value = self.machine.network.values[op.result]
        spec = op.signature.output
        positions = _positions(spec)
        start = out.address.offset
        if out.table:
            start += self._in_table(out.table, row) * out.unit
        elif out.row_bytes:
            start += (row % out.ring if out.ring else row) * out.row_bytes
        memory = self.machine.memory[out.address.base]
        assert start >= 0 and (not positions.size or start + positions[-1] < memory.size)
        self._check_hazards(op, out, start, reads)
        tags = self.machine.tag_of[value.buffer] + value.offset + row * spec.row_bytes
        memory[start + positions] = tags + positions

    def _check_hazards(self, op: Operation, out: Argument, start: int, reads: list) -> None:
        """A row may be written over what the same call reads only where that is promised."""
        positions = start + _positions(op.signature.output)
        operator = operator_of(op.signature.operator)
        in_place = operator.in_place_arguments(op.signature) if operator else ()
        for operand, argument, ring, rows in reads:
            if argument.address.base != out.address.base:
                continue
            spec = op.signature.inputs[operand]
            for row in rows:
                begin = argument.address.offset + self._offset(ring, row, spec.row_bytes)
                if np.intersect1d(begin + _positions(spec), positions).size:
                    # Element by element, in ascending order: the output must not run ahead.
                    assert operand in in_place and start <= begin, (
                        f"{op.name} overwrites operand {operand} while it reads it"
                    )

    def _scratch(self, op: Operation, argument: Argument, number: int) -> None:
        memory = self.machine.memory[argument.address.base]
        size = op.state.bytes if op.state is not None else op.scratch
        place = memory[argument.address.offset : argument.address.offset + size]
        assert place.size == size
        if op.state is None:
            place[:] = _SCRATCH
        else:  # partial results stay from call to call
            tag = -_STRIDE * (1 + list(self.machine.network.values).index(op.result))
            assert number == 0 or (place == tag - np.arange(size)).all(), f"state of {op.name}"
            place[:] = tag - np.arange(size)


def _rows(needed: RowsNeeded, row: int) -> int:
    if needed.table:
        return needed.table[row]
    line = row * needed.stride + needed.offset
    return line if needed.limit is None else min(line, needed.limit)


def _rows_read(op: Operation, operand: int, row: int) -> range:
    operator = operator_of(op.signature.operator)
    if op.state is not None:
        return range(row, row + 1)
    if operator is None or operand not in op.row_operands:
        return range(op.signature.inputs[operand].rows)
    return range(*operator.needed_rows(op.signature, operand, row))


def _positions(spec: TensorSpec) -> np.ndarray:
    """Offsets in bytes of a row's elements, gaps between pixels left out."""
    pixels = np.arange(spec.pixels)[:, None] * spec.pixel_stride * spec.itemsize
    return (pixels + np.arange(spec.channels * spec.itemsize)).ravel()
