"""Groups in cascades: in which order their passes run, and what that takes of memory.

A cascade runs as one of operations does (`relax_passes.streaming.row_schedule`), with passes of
groups in place of rows: its last group asks for the rows that its next pass needs, whose groups ask
in turn.  Between groups rows lie as they do without windows, each at an address of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from ..problem import BufferKind
from ..rows.lives import lives_of
from ..rows.problem import Call, RowProblem, RowRange, RowTensor
from .group_cost import GroupCost, GroupCosts
from .grouping import Group, Grouping
from .network import WindowNetwork

_WORD = 4  # bytes, to which the arrays of an interface are aligned


@dataclass(frozen=True)
class WindowPlan:
    """A grouping of all operations; `cuts` are the groups with which cascades begin.

    The first of them is 0.
    """

    grouping: Grouping
    cuts: tuple[int, ...]

    @property
    def cascades(self) -> tuple[range, ...]:
        """The groups of each cascade."""
        ends = (*self.cuts[1:], len(self.grouping))
        return tuple(range(begin, end) for begin, end in zip(self.cuts, ends, strict=True))


def macs_of(costs: GroupCosts, plan: WindowPlan) -> int:
    """Multiply-accumulates of an inference."""
    return sum(costs.of(group).macs for group in plan.grouping)


def work_of(costs: GroupCosts, plan: WindowPlan) -> int:
    """What an inference takes of time, in multiply-accumulates."""
    return sum(costs.of(group).work for group in plan.grouping)


def live_bytes(costs: GroupCosts, plan: WindowPlan) -> int:
    """The most bytes that are alive at once; no placement of the plan's rows needs less."""
    return lives_of(rows_of(costs, plan)).peak


def rows_of(costs: GroupCosts, plan: WindowPlan) -> RowProblem:
    """The passes as calls, for row placement: a call's operation is the number of a group.

    Its row is the first one of the pass.  Tensors that take no memory are left out.
    """
    calls = _Calls(costs, plan.cascades, plan.grouping, whole=True)
    for position, groups in enumerate(plan.cascades):
        calls.cascade(position, groups)
    return calls.problem()


def live_bytes_of_cascade(costs: GroupCosts, groups: Grouping) -> int:
    """The most bytes alive at once while one cascade runs, but for what only stays meanwhile."""
    calls = _Calls(costs, [range(len(groups))], groups, whole=False)
    calls.cascade(0, range(len(groups)))
    return lives_of(calls.problem()).peak


def _cost(costs: GroupCosts, group: Group, single: bool) -> GroupCost:
    if single and group.first == group.last and costs.network.operations[group.last].state:
        return costs.at_once(group.last)
    return costs.of(group)


class _Stage:
    """A group as a cascade sees it."""

    def __init__(self, network: WindowNetwork, number: int, cost: GroupCost) -> None:
        self.number = number
        self.cost = cost
        operation = network.operations[cost.group.last]
        self.result = operation.result
        self.state = cost.state
        self.height = network.tensors[self.result].rows
        self.rows = cost.group.rows
        taken = operation.operands[0].rows.length if self.state else self.height
        self.steps = 1 if operation.alone else -(-taken // self.rows)
        self.reads = [
            (tensor, begin.tolist(), end.tolist()) for tensor, (begin, end) in cost.reads.items()
        ]

    def steps_for(self, rows: int) -> int:
        """Steps behind which so many rows of the result are there."""
        if rows <= 0:
            return 0
        return self.steps if self.state else -(-rows // self.rows)

    def made_in(self, step: int) -> tuple[int, int]:
        """The rows that a step makes."""
        if self.state:
            return (0, self.height) if step == self.steps - 1 else (0, 0)
        return step * self.rows, min((step + 1) * self.rows, self.height)


class _Calls:
    """The calls of some groups one after the other, which need not be all of a network's."""

    def __init__(
        self, costs: GroupCosts, cascades: Sequence[range], grouping: Grouping, *, whole: bool
    ) -> None:
        self.network = costs.network
        self.keep_inputs = self.network.keep_inputs and whole
        single = {groups[0] for groups in cascades if len(groups) == 1}
        self.stages = [
            _Stage(self.network, number, _cost(costs, group, number in single))
            for number, group in enumerate(grouping)
        ]
        self.tensors: list[RowTensor] = []
        self.numbers: dict[int, int] = {}
        self.calls: list[Call] = []
        (self._all_between if whole else self._between)()
        self.inside: dict[int, int] = {}  # windows and scratch by group
        self.states = {
            stage.number: self._scratch(f"partial results of group {stage.number}", stage.state)
            for stage in self.stages
            if stage.state
        }

    def _scratch(self, name: str, size: int) -> int:
        self.tensors.append(RowTensor(name, 1, size, 8, BufferKind.SCRATCH, True, name))
        return len(self.tensors) - 1

    def _enter(self, number: int, kind: BufferKind) -> None:
        tensor = self.network.tensors[number]
        if tensor.bytes:
            sequence = tensor.in_sequence or tensor.kind is not BufferKind.INTERMEDIATE
            rows, size, name = tensor.rows, tensor.row_bytes, tensor.name
            alignment = _WORD if sequence else gcd(size, _WORD)
            self.numbers[number] = len(self.tensors)
            self.tensors.append(RowTensor(name, rows, size, alignment, kind, sequence, name))

    def _all_between(self) -> None:
        """Enter all tensors that lie between groups."""
        operations = self.network.operations
        inside = {
            operations[op].result
            for stage in self.stages
            for op in stage.cost.group.operations
            if op != stage.cost.group.last
        }
        for number, tensor in enumerate(self.network.tensors):
            if number not in inside:
                self._enter(number, tensor.kind)

    def _between(self) -> None:
        """Enter what the groups of one cascade make, and what they are the last to read."""
        network = self.network
        first, last = self.stages[0].cost.group.first, self.stages[-1].cost.group.last
        used: dict[int, None] = {}
        for stage in self.stages:
            used |= dict.fromkeys((*stage.cost.reads, stage.result))
        for number in sorted(used):
            before = network.producers.get(number, -1) < first
            later = network.readers[number][-1:] > (last,) or network.lasts(number)
            if not before:
                self._enter(number, BufferKind.OUTPUT if later else BufferKind.INTERMEDIATE)
            elif not later:
                self._enter(number, BufferKind.INPUT)

    def problem(self) -> RowProblem:
        """The calls of all cascades so far."""
        return RowProblem(tuple(self.tensors), tuple(self.calls), self.keep_inputs)

    def cascade(self, position: int, groups: range) -> None:
        """Add the calls of the groups with these numbers."""
        stages = [self.stages[number] for number in groups]
        for stage in stages:
            if stage.cost.inside:
                name = f"inside group {stage.number}"
                self.inside[stage.number] = self._scratch(name, stage.cost.inside)
        for index, step in _Cascade(self.network, stages).order():
            self.calls.append(self._call(position, stages[index], step))

    def _call(self, position: int, stage: _Stage, step: int) -> Call:
        reads = [
            rows
            for tensor, begin, end in stage.reads
            for rows in self._rows(tensor, begin[step], end[step])
        ]
        first, end = stage.made_in(step)
        writes = list(self._rows(stage.result, first, end))
        in_place: list[RowRange] = []
        if end > first:
            for tensor in stage.cost.in_place:
                in_place += self._rows(tensor, first, end)
        if stage.number in self.states:
            state = RowRange(self.states[stage.number], 0, 1)
            reads += [state] if step else []
            writes = [state, *writes]
        uses = (self.inside[stage.number],) if stage.cost.inside else ()
        row = step * stage.rows
        reading, writing = tuple(reads), tuple(writes)
        return Call(position, stage.number, row, reading, writing, uses, tuple(in_place))

    def _rows(self, tensor: int, first: int, end: int) -> Iterator[RowRange]:
        if first < end and tensor in self.numbers:
            yield RowRange(self.numbers[tensor], first, end)


class _Cascade:
    """The demand-driven order of the steps of some groups, the last of which drives."""

    def __init__(self, network: WindowNetwork, stages: Sequence[_Stage]) -> None:
        self.stages = stages
        self.producer = {stage.result: index for index, stage in enumerate(stages)}
        self.ancestors: list[int] = []
        for index, stage in enumerate(stages):
            above = 1 << index
            for tensor, _, _ in stage.reads:
                if tensor in self.producer:
                    above |= self.ancestors[self.producer[tensor]]
            self.ancestors.append(above)
        self.asks = [self._asks_of(stage) for stage in stages]
        last = stages[-1].cost.group.last
        self.wanted = [0] * len(stages)
        for index, stage in enumerate(stages):
            behind = network.readers[stage.result][-1:] > (last,)
            if behind or network.lasts(stage.result) or index == len(stages) - 1:
                self.wanted[index] = stage.steps
        self.made = [0] * len(stages)

    def order(self) -> Iterator[tuple[int, int]]:
        """Numbers of stages and their steps."""
        yield from self._until(len(self.stages) - 1, self.stages[-1].steps)
        for index, wanted in enumerate(self.wanted):
            yield from self._until(index, wanted)

    def _asks_of(self, stage: _Stage) -> list[tuple[int, list[int]]]:
        """Whom a stage asks, in order, and for how many steps before each of its own."""
        asked = []
        for number, (tensor, _, end) in enumerate(stage.reads):
            if tensor in self.producer:
                asked.append((self.producer[tensor], number, end))
        producers = {producer for producer, _, _ in asked}

        def turn(ask: tuple[int, int, list[int]]) -> tuple[bool, int, int]:
            # As in a cascade of operations, so that one without windows runs as it does there.
            producer, number, _ = ask
            others = (self.ancestors[other] for other in producers if other != producer)
            is_behind = any(above >> producer & 1 for above in others)
            return is_behind, self.ancestors[producer].bit_count(), number

        return [
            (producer, [self.stages[producer].steps_for(rows) for rows in end])
            for producer, _, end in sorted(asked, key=turn)
        ]

    def _until(self, index: int, steps: int) -> Iterator[tuple[int, int]]:
        """Have a stage make its first `steps` steps."""
        waiting = [(index, steps)]
        while waiting:
            stage, wanted = waiting[-1]
            step = self.made[stage]
            if step >= wanted:
                waiting.pop()
                continue
            for producer, before in self.asks[stage]:
                if self.made[producer] < before[step]:
                    waiting.append((producer, before[step]))
                    break
            else:
                self.made[stage] = step + 1
                yield stage, step
