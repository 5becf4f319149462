"""What a group costs: bytes that are alive inside it, multiply-accumulates, and calls of kernels.

In a pass and window the last operation of a group makes its rows one after the other and drives the
others, as in a cascade.  Of what they make there is a **strip**: as many rows as are alive at once,
as long as the widest window.  An operation may write its rows over those of its operand.  Where
columns are kept from one window to the next, all rows of a pass are, whether or not one of the
windows still needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .axis_walk import AxisWalk, Ranges, union, units
from .grouping import Group
from .network import WindowNetwork
from .strip_heights import strip_heights

_WORD = 4  # bytes, to which strips are aligned
_SCRATCH = 8  # likewise scratch
_CALL = 64  # multiply-accumulates that take as long as a call of a kernel, on a Cortex-M7


@dataclass(frozen=True)
class GroupCost:
    """`inside` bytes hold windows, partial results and scratch while a pass is made.

    `reads` has for each tensor from outside the rows that each pass needs; of those `in_place` the
    row may be replaced by that of the result.
    """

    group: Group
    macs: int
    calls: int  # of kernels
    inside: int
    state: int
    reads: Mapping[int, Ranges]
    in_place: tuple[int, ...]

    @property
    def work(self) -> int:
        """What it takes of time, in multiply-accumulates."""
        return self.macs + _CALL * self.calls

    @cached_property
    def rows_read(self) -> Mapping[int, int]:
        """Most rows of each tensor that one pass needs."""
        return {
            tensor: max(int((end - begin).max(initial=0)), 0)
            for tensor, (begin, end) in self.reads.items()
        }


class GroupCosts:
    """The costs of all possible groups of one network.

    `keep_columns`: groups that keep columns are among those to choose from.  `reductions`: a
    running reduction may be the last of a group, which then has windows and passes of what it
    takes.
    """

    def __init__(
        self, network: WindowNetwork, *, keep_columns: bool = True, reductions: bool = False
    ) -> None:
        self.network = network
        self.keep_columns = keep_columns
        self.reductions = reductions

    def alone(self, operation: int) -> GroupCost:
        """An operation by itself, row by row: nothing is made twice."""
        return self._row_by_row(operation, running=True)

    def at_once(self, operation: int) -> GroupCost:
        """As `alone`, but a running reduction takes all rows in one pass, with no partial results.

        So it runs where nothing else is in its cascade.
        """
        return self._row_by_row(operation, running=False)

    def _row_by_row(self, operation: int, *, running: bool) -> GroupCost:
        network, op = self.network, self.network.operations[operation]
        result = network.tensors[op.result]
        rows = result.rows if op.alone else 1
        running = running and op.state > 0
        reads: dict[int, Ranges] = {}
        for index, operand in enumerate(op.operands):
            taken = units(op.operands[0].rows.length if running else 0, 1)
            if not running:
                taken = operand.rows.needed(*units(result.rows, rows))
            elif index > 0:  # the first one comes row by row, the others are there all the time
                taken = (taken[0] * 0, taken[1] * 0 + operand.rows.length)
            known = reads.get(operand.tensor)
            reads[operand.tensor] = union(known, taken) if known else taken
        group = Group(operation, operation, result.columns, rows)
        in_place = self._in_place(operation, group)
        state = op.state if running else 0
        calls = -(-(op.operands[0].rows.length if running else result.rows) // rows)
        return GroupCost(group, op.macs, calls, op.scratch, state, reads, in_place)

    def of(self, group: Group) -> GroupCost:
        """The cost of one group.  Raises ``ValueError`` if its operations cannot be one."""
        if group.first == group.last and self._is_plain(group):
            return self.alone(group.last)
        kinds = [group.keeps_columns]
        found = self._ending_with(group.last, [group.width], [group.rows], group.first, kinds)
        for start, cost in found:
            if start == group.first:
                return cost
        raise ValueError(f"operations {group.first} to {group.last} cannot be one group")

    def ending_with(
        self, last: int, widths: Sequence[int], rows: Sequence[int], earliest: int
    ) -> Iterator[tuple[int, GroupCost]]:
        """Groups that end with an operation, with their beginnings: the latest one first.

        None begins before `earliest`.
        """
        kinds = (False, True) if self.keep_columns else (False,)
        yield from self._ending_with(last, widths, rows, earliest, kinds)

    def _ending_with(
        self,
        last: int,
        widths: Sequence[int],
        rows: Sequence[int],
        earliest: int,
        kinds: Sequence[bool],
    ) -> Iterator[tuple[int, GroupCost]]:
        """As `ending_with`, of some kinds: groups that keep columns, if they have some, or not."""
        if not self._may_end(last):
            return
        passes = {r: AxisWalk(self.network, last, r, rows=True) for r in rows}
        windows = {
            (w, keep): AxisWalk(self.network, last, w, rows=False, keep=keep)
            for w in widths
            for keep in kinds
        }
        for first in range(last, earliest - 1, -1):
            if first == last and self.network.operations[last].state:
                continue
            if first < last:
                if not self._may_join(first, last):
                    return
                for walk in (*passes.values(), *windows.values()):
                    walk.extend()
            for r, down in passes.items():
                heights = strip_heights(self.network, down, last)
                for (w, keep), across in windows.items():
                    if not keep or len(kinds) == 1 or across.keeps_something:
                        group = Group(first, last, w, r, keep)
                        yield first, self._cost(group, down, heights, across)

    def _is_plain(self, group: Group) -> bool:
        result = self.network.tensors[self.network.operations[group.last].result]
        operation = self.network.operations[group.last]
        whole = group.width >= result.columns and group.rows == 1
        return whole or bool(operation.state) or not operation.windowed

    def _may_end(self, last: int) -> bool:
        """Whether a group of several operations may end with this one."""
        operation = self.network.operations[last]
        if operation.state:
            return self.reductions and len(operation.operands) == 1
        return operation.windowed

    def _may_join(self, first: int, last: int) -> bool:
        """Whether an operation may make its result for the ones behind it up to `last` alone."""
        result = self.network.operations[first].result
        readers = self.network.readers[result]
        inside = bool(readers) and readers[-1] <= last and not self.network.lasts(result)
        return inside and self.network.operations[first].windowed

    def _cost(
        self, group: Group, down: AxisWalk, heights: Mapping[int, int], across: AxisWalk
    ) -> GroupCost:
        network = self.network
        last = network.operations[group.last]
        made = [op for op in group.operations if op != group.last or not last.state]
        macs = last.macs if last.state else 0
        macs += sum(network.macs_of(op, down.positions[op] * across.positions[op]) for op in made)
        calls = last.operands[0].rows.length * across.units if last.state else 0
        calls += sum(down.positions[op] * across.parts[op] for op in made)
        inner = {network.operations[op].result for op in group.operations}
        reads = {tensor: ranges for tensor, ranges in down.held.items() if tensor not in inner}
        inside = self._inside(group, down, heights, across)
        in_place = self._in_place(group.last, group)
        return GroupCost(group, macs, calls, inside, last.state, reads, in_place)

    def _inside(
        self, group: Group, down: AxisWalk, heights: Mapping[int, int], across: AxisWalk
    ) -> int:
        """Bytes of all strips, and of the scratch behind them."""
        network = self.network
        sizes: dict[int, int] = {}  # by operation whose strip it is
        strips: dict[int, int] = {}  # by operation the one whose strip it writes to
        for op in range(group.first, group.last):
            result = network.operations[op].result
            kept = across.keeps(op)
            height = down.longest(result) if kept else heights[op]
            size = height * across.longest(result) * network.tensors[result].pixel_bytes
            over = None if kept else self._written_over(op, strips, across)
            strips[op] = op if over is None else over
            sizes[strips[op]] = max(sizes.get(strips[op], 0), size)
        size = sum(-(-size // _WORD) * _WORD for size in sizes.values())
        scratch = max(network.operations[op].scratch for op in group.operations)
        return -(-size // _SCRATCH) * _SCRATCH + scratch if scratch else size

    def _written_over(self, op: int, strips: Mapping[int, int], across: AxisWalk) -> int | None:
        """The operation over whose strip another one may write its rows, as their only reader.

        It reads them as one operand: what ``x + conv(x)`` writes over, the convolution still needs.
        """
        read = [operand.tensor for operand in self.network.operations[op].operands]
        for operand in self.network.operations[op].operands:
            producer = self.network.producers.get(operand.tensor, op)
            sole = self.network.readers[operand.tensor] == (op,) and read.count(operand.tensor) == 1
            if operand.in_place and sole and producer in strips and not across.keeps(producer):
                return strips[producer]
        return None

    def _in_place(self, last: int, group: Group) -> tuple[int, ...]:
        """Tensors from outside whose row the group's result may take the place of.

        Nothing else in the group reads them, for it would read beside the window.
        """
        network = self.network
        operation = network.operations[last]
        if group.rows != 1 or operation.state or operation.alone:
            return ()
        result = network.tensors[operation.result]
        made = {network.operations[op].result for op in range(group.first, group.last)}
        kept = {operand.tensor for operand in operation.operands if not operand.in_place}
        return tuple(
            operand.tensor
            for operand in operation.operands
            if operand.in_place
            and operand.tensor not in made | kept
            and network.tensors[operand.tensor].row_bytes == result.row_bytes
            and not any(op in network.readers[operand.tensor] for op in range(group.first, last))
        )
