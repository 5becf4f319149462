"""A network, in a given order, as calls of row kernels: what row placement is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd

from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor
from relax_passes.operators import implementation
from relax_passes.streaming.row_schedule import calls_in_order

from .buffers import TakesTable, kinds_of_ports, read_whole, views_of_buffers
from .network import Cascade, Network, Operation, Value
from .to_problem import Scheduled, extent, state_buffer, work_buffer, work_buffers


def to_rows(
    scheduled: Scheduled,
    order: Sequence[int],
    *,
    takes_table: TakesTable,
    keep_inputs: bool = False,
    external_io: bool = False,
    alignment: int = 4,
) -> RowProblem:
    """The calls of `scheduled` with its cascades in `order`, and the tensors that they use.

    `alignment` in bytes, for every tensor; rows have it where they are a multiple of it long.
    States, which lie apart, and with `external_io` the arrays of the interface are left out.
    """
    builder = _Builder(scheduled, takes_table, external_io, alignment)
    for position, index in enumerate(order):
        builder.cascade(position, scheduled.network.cascades[index])
    return RowProblem(tuple(builder.tensors), tuple(builder.calls), keep_inputs)


class _Builder:
    def __init__(
        self, scheduled: Scheduled, takes_table: TakesTable, external_io: bool, alignment: int
    ) -> None:
        self.network: Network = scheduled.network
        self.takes_table = takes_table
        self.alignment = alignment
        self.tensors: list[RowTensor] = []
        self.calls: list[Call] = []
        self.numbers: dict[str, int] = {}  # by buffer; those outside the arena have none
        self._stored(external_io)

    # --- tensors -----------------------------------------------------------------------------

    def _stored(self, external_io: bool) -> None:
        network = self.network
        ports = kinds_of_ports(network)
        whole = read_whole(network, self.takes_table)
        for buffer, values in views_of_buffers(network).items():
            if external_io and buffer in ports or buffer in network.state_buffers:
                continue
            owner = network.values.get(buffer, values[0])
            kind = ports.get(buffer, BufferKind.INTERMEDIATE)
            shapes = {(v.spec.rows, v.spec.row_bytes) for v in values}
            rows, row_bytes = max(shapes)
            row_wise = len(shapes) == 1 and all(v.offset < row_bytes for v in values)
            in_sequence = kind is not BufferKind.INTERMEDIATE or buffer in whole or not row_wise
            if not row_wise:
                rows, row_bytes = _common_rows(values)
            if rows * row_bytes == 0:
                continue
            itemsize = max(v.spec.itemsize for v in values)
            label = f"{owner.name} {'x'.join(map(str, owner.spec.shape))} {owner.spec.dtype}"
            self._enter(buffer, rows, row_bytes, itemsize, kind, in_sequence or rows == 1, label)

    def _enter(
        self,
        name: str,
        rows: int,
        row_bytes: int,
        itemsize: int,
        kind: BufferKind,
        in_sequence: bool,
        label: str,
    ) -> int:
        alignment = max(self.alignment, itemsize)
        if not in_sequence:
            # As in a ring: an address that rows of this length have anyway.
            alignment = max(gcd(row_bytes, self.alignment), itemsize)
        self.numbers[name] = len(self.tensors)
        self.tensors.append(RowTensor(name, rows, row_bytes, alignment, kind, in_sequence, label))
        return self.numbers[name]

    # --- calls -------------------------------------------------------------------------------

    def cascade(self, position: int, cascade: Cascade) -> None:
        """Add the calls of one cascade."""
        inner = self.network.inner_values(cascade)
        states = {}
        for index, op in enumerate(cascade.operations):
            if op.state is not None:
                states[index] = self._enter(
                    state_buffer(cascade, op),
                    *(1, op.state.bytes, op.state.itemsize, BufferKind.SCRATCH, True),
                    f"partial results of {op.name}",
                )
        for work in work_buffers(cascade):
            self._enter(work.name, 1, work.size, work.alignment, work.kind, True, work.label)
        made = [0] * len(cascade.operations)
        operators = [op.in_schedule() for op in cascade.operations]
        whole = {op.result for op in cascade.operations} - set(inner)
        for index in calls_in_order(operators, cascade.descending, whole):
            op, number = cascade.operations[index], made[index]
            made[index] += 1
            steps = operators[index].steps
            if op.function is not None:
                if number == 0:
                    self._whole_call(position, index, op, cascade)
                continue
            row = steps - 1 - number if cascade.descending else number
            reads = list(self._reads(op, row))
            writes: list[RowRange] = []
            in_place: list[RowRange] = []
            if op.state is None:
                several = operators[index].rows_per_call
                end = min((row + 1) * several, op.signature.output.rows)
                writes += self._rows(op.result, row * several, end)
                in_place += self._in_place(op, row)
            else:
                state = RowRange(states[index], 0, 1)
                reads += [state] if number else []
                writes += [state]
                if number == steps - 1:
                    writes += self._rows(op.result, 0, 1)
            uses = self._uses(cascade, op)
            self.calls.append(
                Call(position, index, row, tuple(reads), tuple(writes), uses, tuple(in_place))
            )

    def _whole_call(self, position: int, index: int, op: Operation, cascade: Cascade) -> None:
        """The one call of an opaque operation."""
        reads = [
            rows
            for name in op.operands
            if name in self.network.values
            for rows in self._rows(name, 0, self.network.values[name].spec.rows)
        ]
        writes = self._rows(op.result, 0, op.signature.output.rows)
        uses = self._uses(cascade, op)
        self.calls.append(Call(position, index, 0, tuple(reads), tuple(writes), uses))

    def _uses(self, cascade: Cascade, op: Operation) -> tuple[int, ...]:
        return (self.numbers[work_buffer(cascade, op)],) if op.scratch_bytes else ()

    def _reads(self, op: Operation, row: int) -> Iterator[RowRange]:
        operator = implementation(op.signature)
        for index, name in enumerate(op.operands):
            if name not in self.network.values:
                continue
            if index not in op.row_operands:
                first, end = 0, op.signature.inputs[index].rows
            elif op.state is not None:
                first, end = row, row + 1
            else:
                first, end = operator.needed_rows(op.signature, index, row)
            yield from self._rows(name, first, end)

    def _in_place(self, op: Operation, row: int) -> Iterator[RowRange]:
        """Rows of operands that the kernel may write its own row over."""
        operator = implementation(op.signature)
        result = self.network.values[op.result]
        if not self._alone(result):
            return
        places = operator.in_place_arguments(op.signature)
        values = self.network.values
        # What the kernel reads elsewhere in its own time stays as it is: a convolution's data.
        kept = {
            values[n].buffer for i, n in enumerate(op.operands) if n in values and i not in places
        }
        for index in places:
            value = values.get(op.operands[index])
            if (
                value is not None
                and value.buffer not in kept
                and self._alone(value)
                and value.spec.row_bytes == result.spec.row_bytes
            ):
                yield from self._rows(value.name, row, row + 1)

    def _rows(self, name: str, first: int, end: int) -> Iterator[RowRange]:
        """Rows of a value as rows of what holds it."""
        value = self.network.values[name]
        number = self.numbers.get(value.buffer)
        if number is None or first >= end:
            return
        if self.tensors[number].rows == 1:
            first, end = 0, 1
        else:
            several = value.spec.row_bytes // self.tensors[number].row_bytes
            first, end = first * several, end * several
        yield RowRange(number, first, end)

    def _alone(self, value: Value) -> bool:
        """True for a value that is no slice of another, and whose rows are those of its tensor."""
        number = self.numbers.get(value.buffer)
        rows = number is None or self.tensors[number].row_bytes in (
            value.spec.row_bytes,
            value.spec.rows * value.spec.row_bytes,
        )
        return rows and value.offset == 0 and value.spec.dense


def _common_rows(values: Sequence[Value]) -> tuple[int, int]:
    """Number and bytes of the rows of which views of several shapes consist.

    One row of all bytes, where rows of some are no multiple of those of others.
    """
    least = min(value.spec.row_bytes for value in values)
    sizes = {value.spec.rows * value.spec.row_bytes for value in values}
    whole = all(value.offset == 0 and value.spec.dense for value in values) and len(sizes) == 1
    if whole and least and all(value.spec.row_bytes % least == 0 for value in values):
        return max(sizes) // least, least
    return 1, max(value.offset + extent(value.spec) for value in values)
