"""Groups in windows of columns, as loops that make a pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dero_tvm.schedule.network import Cascade, Operation
from dero_tvm.schedule.operation import ColumnGroup
from dero_tvm.schedule.to_problem import work_buffer

from .asks import rows_needed, with_functions
from .column_tables import columns_name, entries_of, first_rows_name, kept_entry
from .kernels import KernelTable
from .pointers import Pointers, row_of
from .row_places import RowPlaces
from .stages import Argument, Call, Column, RowsNeeded, Stage, StripMove, WindowLoop


class WindowLoops:
    """Makes the loop of each group; kernels are those of `table`."""

    def __init__(self, table: KernelTable, places: RowPlaces, pointers: Pointers) -> None:
        self.table = table
        self.places = places
        self.pointers = pointers

    def loop(self, cascade: Cascade, op: Operation, group: ColumnGroup) -> WindowLoop:
        """The loop that makes a pass of the group that is operation `op` of a cascade."""
        driver = len(group.operations) - 1
        operators = [part.in_schedule() for part in group.operations]
        asks: list[list[tuple[int, RowsNeeded]]] = [[] for _ in operators]
        for demand in group.schedule.demands:
            producer = operators[demand.producer]
            last = operators[demand.reader].asks(demand.operand, producer)
            asks[demand.reader].append((demand.producer, rows_needed(last, producer.steps)))
        shared = with_functions(group.schedule.demands)
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
        """How columns that stay get to where the next window begins."""
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
        kernel = self.table.native(part, self.pointers.constant_values, tabled, strips)
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
                yield from self.pointers.rows(cascade, name, spec)
            elif not native:
                yield Argument(self.places.of(cascade, name).address, spec.dtype)
        scratch = part.scratch
        if native and part.native is not None:
            yield from self.pointers.constants(part.native)
            scratch = part.native.scratch
        output = part.signature.output
        pixel_bytes = output.pixel_stride * output.itemsize
        strip = group.strips.get(part.result)
        if strip is None:
            row = row_of(self.places.of(cascade, part.result), output)
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
