"""Groups of operations in windows of columns: what is computed in each window, and where it lies.

    pass      R rows of the group's result        (the last pass may have fewer)
    window    w columns of it                     (the last window may have fewer)

For every window of every pass, each operation of the group makes the rows and columns that the
operations behind it need there, row by row as in a cascade.  What two windows or passes need is
made in both.  Of a tensor inside there is a **strip**: a ring of rows that are as long as the
widest window of it.  All strips, and the scratch of kernels, lie in the group's **patch**, which is
needed during its calls alone.

A group may keep columns instead: what the next window needs stays in the strip and moves to where
that begins.  Such a strip has all rows of a pass, for the next window goes over them again.

A group becomes one operation, whose call makes a pass (`in_column_windows`); what the network has
besides does not know that it is a group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from dero_tvm.boundary.errors import UserError
from dero_tvm.planning.column_windows.grouping import Group, Grouping
from dero_tvm.schedule.recompute_ratio import ratio_of
from relax_passes.operators import TensorSpec, operator_of
from relax_passes.operators.column_windows import group_signature
from relax_passes.streaming.row_needs import row_needs
from relax_passes.streaming.row_schedule import PassSchedule, simulate_passes

from .column_spans import column_spans
from .joined_cascades import joined_cascades
from .network import Cascade, Network
from .operation import ColumnGroup, ColumnSpans, Operation, StripPlace

_ALIGNMENT = 4  # bytes, of every strip
_SCRATCH_ALIGNMENT = 8


MakesWindows = Callable[[Operation, Collection[int]], bool]
"""Whether an operation makes ranges of columns, with operands of these numbers in strips."""


def extra_macs(network: Network) -> int:
    """Multiply-accumulates that are made again, in windows of columns or where a skip was long."""
    parts = (part for op in network.operations for part in op.parts)
    return network.macs - sum(part.macs for part in parts if not part.again)


def recompute_ratio(network: Network) -> float:
    """Multiply-accumulates as a multiple of those with nothing made twice."""
    return ratio_of(network.macs, extra_macs(network))


def in_column_windows(network: Network, grouping: Grouping, makes_windows: MakesWindows) -> Network:
    """`network` with each group of `grouping` as one operation.

    Raises UserError, naming the layer, for a group that cannot be computed in windows.
    """
    left = sorted(grouping, key=lambda group: group.first)
    if any(a.last >= b.first for a, b in zip(left, left[1:])):
        raise UserError("groups in windows of columns overlap; give each operation to one of them")
    network = joined_cascades(network, [(group.first, group.last) for group in left])
    cascades, start = [], 0
    for cascade in network.cascades:
        end = start + len(cascade.operations)
        inside = [group for group in left if start <= group.first < end]
        cascades.append(_with_groups(network, cascade, start, inside, makes_windows))
        start = end
    groups = (op.group for c in cascades for op in c.operations if op.group is not None)
    strips = {name for group in groups for name in group.strips}
    values = {name: value for name, value in network.values.items() if name not in strips}
    return replace(network, cascades=tuple(cascades), values=values)


def _with_groups(
    network: Network,
    cascade: Cascade,
    start: int,
    groups: Sequence[Group],
    makes_windows: MakesWindows,
) -> Cascade:
    if not groups:
        return cascade
    operations: list[Operation] = []
    position = 0
    for group in groups:
        first, last = group.first - start, group.last - start
        operations += cascade.operations[position:first]
        members = cascade.operations[first : last + 1]
        operations.append(_Maker(network, cascade, members, makes_windows).operation(group))
        position = last + 1
    operations += cascade.operations[position:]
    return replace(cascade, operations=tuple(operations))


class _Maker:
    def __init__(
        self,
        network: Network,
        cascade: Cascade,
        operations: tuple[Operation, ...],
        makes_windows: MakesWindows,
    ) -> None:
        self.network = network
        self.cascade = cascade
        self.operations = tuple(map(_with_ranges, operations))
        self.makes_windows = makes_windows
        self.made = {op.result: index for index, op in enumerate(operations)}

    def operation(self, group: Group) -> Operation:
        """The one that stands for the group."""
        self._check(group)
        driver = self.operations[-1]
        operators = [op.in_schedule() for op in self.operations]
        spans = column_spans(self.operations, group.width, keep=group.keeps_columns)
        kept = [op.result for index, op in enumerate(self.operations) if spans.keeps(index)]
        rows = min(group.rows, driver.signature.output.rows)
        schedule = simulate_passes(operators, rows, kept)
        strips, size = self._strips(schedule, spans)
        scratch = -(-size // _SCRATCH_ALIGNMENT) * _SCRATCH_ALIGNMENT
        most = max(op.scratch_bytes for op in self.operations)
        found = ColumnGroup(
            self.operations,
            group.rows,
            spans,
            schedule,
            strips,
            scratch,
            scratch + most if most else size,
        )
        operands, specs = self._operands()
        needs = [self._rows_needed(name, schedule) for name in operands]
        places = [operands.index(name) for name in self._in_place()] if group.rows == 1 else []
        signature = group_signature(specs, driver.signature.output, group.rows, needs, places)
        return Operation(
            driver.name,
            signature,
            operands,
            driver.result,
            tuple(range(len(operands))),
            found.patch_bytes,
            found.macs,
            group=found,
        )

    # --- what can be computed in windows -----------------------------------------------------

    def _check(self, group: Group) -> None:
        if group.width < 1 or group.rows < 1:
            raise UserError(
                f"a group in windows of {group.width} columns and {group.rows} rows: give at least "
                "one of each"
            )
        if self.cascade.descending:
            self._refuse(self.operations[-1], "its rows are made from the last to the first")
        inner = set(self.network.inner_values(self.cascade))
        others = [op for op in self.cascade.operations if op.result not in self.made]
        read = {name for op in others for name in op.operands}
        for op in self.operations:
            inside = op is not self.operations[-1]
            if inside and (op.result not in inner or op.result in read):
                self._refuse(op, "its result is read outside of the group")
            self._check_operation(op)

    def _check_operation(self, op: Operation) -> None:
        signature = op.signature
        operator = operator_of(signature.operator)
        if operator is None or op.function is not None or op.group is not None:
            self._refuse(op, "it takes whole tensors")
        if op.state is not None:
            self._refuse(op, "it reduces all rows to one")
        assert operator is not None
        for index, name in enumerate(op.operands):
            if name not in self.network.values:
                continue
            if index not in op.row_operands:
                self._refuse(op, f"it reads all of {name} at once")
            if name in self.made:
                if len(signature.inputs[index].shape) != 4 or len(signature.output.shape) != 4:
                    self._refuse(op, "it does not make an image of an image")
                if operator.needed_columns(signature, index, 0) is None:
                    self._refuse(op, f"{signature.short_name} makes whole rows")
        if len(signature.output.shape) != 4:
            self._refuse(op, "its result is no image")
        strips = [index for index, name in enumerate(op.operands) if name in self.made]
        if not self.makes_windows(op, strips):
            self._refuse(op, f"the kernel of {signature.short_name} makes whole rows")

    def _refuse(self, op: Operation, why: str) -> None:
        layers = self.network.layers.get(op.result) or (op.name,)
        raise UserError(
            f"layer {layers[0]} cannot be computed in windows of columns: {why}; leave it out of "
            "the group"
        )

    # --- rows and strips ---------------------------------------------------------------------

    def _operands(self) -> tuple[tuple[str, ...], tuple[TensorSpec, ...]]:
        """The values that come from outside, with their layouts."""
        found: dict[str, TensorSpec] = {}
        for op in self.operations:
            for index, name in enumerate(op.operands):
                if name in self.network.values and name not in self.made:
                    found.setdefault(name, op.signature.inputs[index])
        return tuple(found), tuple(found.values())

    def _in_place(self) -> list[str]:
        """The operands over whose row the last operation may write its own, and no other reads."""
        *others, driver = self.operations
        read = {name for op in others for name in op.operands}
        return [
            name
            for index in driver.in_schedule().in_place
            if (name := driver.operands[index]) in self.network.values
            and name not in self.made
            and name not in read
            and driver.operands.count(name) == 1
        ]

    def _rows_needed(self, value: str, schedule: PassSchedule) -> list[tuple[int, int]]:
        """The rows of an operand of the group that each pass reads."""
        readers = [
            (index, row_needs(op.signature, operand))
            for index, op in enumerate(self.operations)
            for operand, name in enumerate(op.operands)
            if name == value
        ]
        found = []
        for first, end in zip(schedule.first, schedule.end):
            ranges = [
                (int(needs.first[a:b].min()), int(needs.last[b - 1]))
                for index, needs in readers
                if (a := first[index]) < (b := end[index])
            ]
            ranges = [(a, b) for a, b in ranges if a < b]
            edge = (0, 0)
            found.append((min(a for a, _ in ranges), max(b for _, b in ranges)) if ranges else edge)
        return found

    def _strips(
        self, schedule: PassSchedule, spans: ColumnSpans
    ) -> tuple[dict[str, StripPlace], int]:
        """Where the strips lie in the patch, and where they end."""
        found: dict[str, StripPlace] = {}
        heights: dict[str, int] = {}
        for value, height in schedule.rings.items():
            owner = _owner(value, schedule)
            heights[owner] = max(heights.get(owner, 0), height)
        size = 0
        for op in self.operations[:-1]:
            owner = _owner(op.result, schedule)
            if owner in found:
                found[op.result] = found[owner]
                continue
            widest = max(
                spans.widest(index)
                for index, other in enumerate(self.operations[:-1])
                if _owner(other.result, schedule) == owner
            )
            spec = op.signature.output
            row_bytes = widest * spec.pixel_stride * spec.itemsize
            alignment = max(_ALIGNMENT, spec.itemsize)
            size = -(-size // alignment) * alignment
            found[op.result] = StripPlace(size, heights[owner], row_bytes)
            size += heights[owner] * row_bytes
        return found, size


def _with_ranges(op: Operation) -> Operation:
    """An operation without its kernel in C, if that makes whole rows."""
    return op if op.native is None or op.native.ranges else replace(op, native=None)


def _owner(value: str, schedule: PassSchedule) -> str:
    """The tensor in whose ring a value lives."""
    while value in schedule.in_place:
        value = schedule.in_place[value]
    return value
