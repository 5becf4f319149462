"""Which operators to run together, row by row, so that the peak of live bytes is least.

The operators of a network stand in an order.  A **segment** is a run of them, from position
`begin` to `end`; it is executed as one cascade, driven by its last operator.  While it runs, these
are alive:

    whole tensors made before it and still needed in it or behind it
    whole tensors made in it and needed behind it (the last operator's result among them)
    a ring of rows for every other tensor made in it
    the largest scratch area of its operators

less what the last operator's result may share with inputs that die in the segment.  The bytes of
a segment do not depend on how the rest is cut, so dynamic programming finds the segmentation with
the least maximum:

    best(end) = min over begin of max(best(begin), bytes(begin, end))

One run of the row schedule a driver is enough: the rows that a cascade asks for do not depend on
where it begins.

Among all segmentations within a limit, the one that streams the fewest operators is chosen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .cascade_operator import CascadeOperator
from .least_span import least_span
from .row_schedule import RowSchedule, simulate

_NEVER = 1 << 62  # bytes that no segment has
SHORT = 16  # operators: the length of the segments that are looked at first
_MOST_WORK = 16_000_000  # tensors looked at for one table, about; then segments stay short
# Of making a row, of reading an operator and of looking at a segment, in the same unit.
_ROW_WORK, _OPERATOR_WORK, _SEGMENT_WORK = 32, 300, 60
ALIGNMENT = 4  # bytes to which each tensor and ring is rounded up in the estimate


class NoSegmentation(ValueError):
    """No segmentation keeps in rings what must not lie in memory whole."""


@dataclass(frozen=True)
class Item:
    """One operator in written order.

    `tensors` maps what it reads, constants excepted, to bytes in the arena, and `result_bytes` are
    those of its result; both are 0 for what lies outside.  `streamable` is False for operators
    that only run alone: opaque ones, and reshapes, which do not run at all.  With `never_whole`
    the result may lie in a ring only; where a `port` of the network trades rows with the
    application, rows ascend.
    """

    operator: CascadeOperator
    tensors: dict[str, int]
    result_bytes: int
    scratch: int = 0
    streamable: bool = True
    state: int = 0  # bytes that a running reduction keeps
    never_whole: bool = False
    port: bool = False


@dataclass(frozen=True)
class Segmentation:
    """Runs ``[begin, end)`` of the operators, in order, and the bytes of the costliest one."""

    segments: tuple[tuple[int, int], ...]
    bytes: int


def segment(
    items: Sequence[Item],
    inputs: dict[str, int],
    outputs: Iterable[str],
    *,
    keep_inputs: bool = False,
    limit: int | None = None,
) -> Segmentation:
    """The segmentation with the least peak; with `limit`, the least streaming within that peak.

    `inputs` maps network inputs to bytes.  If nothing fits `limit`, the least peak is returned.
    Raises ``NoSegmentation`` if some result that must not be whole had to be.
    """
    made = SegmentCosts(items, inputs, frozenset(outputs), keep_inputs)
    count = len(items)
    costs = made.table(longest=1)
    peak = _least_peak(costs)
    if limit is None or peak > limit:  # something has to be streamed
        for longest in (SHORT, count):
            costs = made.table(longest, ceiling=max(peak, limit or 0))
            peak = _least_peak(costs)
    if peak == _NEVER:
        raise NoSegmentation("a tensor that may lie in a ring only is needed whole")
    bound = max(peak, limit or 0)
    # Within the bound: (operators streamed, bytes summed over segments) least.
    effort: list[tuple[int, int]] = [(0, 0)] + [(_NEVER, 0)] * count
    cut = [0] * (count + 1)
    for end in range(1, count + 1):
        for begin, cost in costs[end].items():
            if cost > bound:
                continue
            streamed = end - begin if end - begin > 1 else 0
            candidate = (effort[begin][0] + streamed, effort[begin][1] + cost)
            if candidate < effort[end]:
                effort[end], cut[end] = candidate, begin
    segments: list[tuple[int, int]] = []
    end = count
    while end > 0:
        segments.append((cut[end], end))
        end = cut[end]
    segments.reverse()
    peak = max((costs[end][begin] for begin, end in segments), default=0)
    return Segmentation(tuple(segments), peak)


def _least_peak(costs: Sequence[dict[int, int]]) -> int:
    """The peak of the best segmentation, from a table of costs."""
    best = [0] + [_NEVER] * (len(costs) - 1)
    for end in range(1, len(costs)):
        for begin, cost in costs[end].items():
            best[end] = min(best[end], max(best[begin], cost))
    return best[-1]


class SegmentCosts:
    """Bytes alive in possible segments."""

    def __init__(
        self,
        items: Sequence[Item],
        inputs: dict[str, int],
        outputs: frozenset[str],
        keep_inputs: bool,
    ) -> None:
        self.items = items
        self.made_at = {item.operator.result: i for i, item in enumerate(items)}
        self.made_at.update(dict.fromkeys(inputs, -1))
        self.bytes = {item.operator.result: aligned(item.result_bytes) for item in items}
        self.bytes.update({name: aligned(size) for name, size in inputs.items()})
        self.last_read = dict(self.made_at)
        for position, item in enumerate(items):
            for name in item.tensors:
                self.last_read[name] = position
        self.read_whole: dict[str, list[int]] = {}  # positions of readers that do not go by rows
        for position, item in enumerate(items):
            for index, name in enumerate(item.operator.operands):
                if index not in item.operator.row_operands:
                    self.read_whole.setdefault(name, []).append(position)
        kept = set(outputs) | (set(inputs) if keep_inputs else set())
        self.last_read.update(dict.fromkeys(kept, len(items)))
        self.before = self._whole_before()
        self._runs: dict[tuple[int, int], tuple[list[int], RowSchedule]] = {}
        self._work = 0  # done for the table that is being made

    def table(self, longest: int | None = None, ceiling: int = _NEVER) -> list[dict[int, int]]:
        """``table[end][begin]`` for every segment that can run as one.

        Those of more than `longest` operators are left out, and those whose rings alone have more
        than `ceiling` bytes: they grow with the segment.
        """
        longest = len(self.items) if longest is None else longest
        self._work = 0
        columns: list[dict[int, int]] = [{}]
        for driver in range(len(self.items)):
            if self._work > _MOST_WORK:  # hundreds of operators in a row, with small rings
                longest = min(longest, SHORT)
            columns.append(self._with_driver(driver, longest, ceiling))
        return columns

    def _with_driver(self, driver: int, longest: int, ceiling: int) -> dict[int, int]:
        if self.items[driver].never_whole:
            return {}
        if not self.items[driver].streamable:
            return {driver: self.alone(driver)}
        earliest = driver
        while earliest > 0 and self.items[earliest - 1].streamable:
            earliest -= 1
        earliest = max(earliest, driver - longest + 1)
        # Most segments end at the ceiling, so the schedule of a shorter one is tried first.
        begin = driver
        while True:
            begin = max(earliest, 2 * begin - driver - SHORT)
            costs, ended = self._from(begin, driver, ceiling)
            if ended or begin == earliest:
                return costs

    def _from(self, earliest: int, driver: int, ceiling: int) -> tuple[dict[int, int], bool]:
        """Costs by beginning, `earliest` or later; whether no earlier one is possible."""
        members, schedule = self._run(earliest, driver)
        over = {operand: result for result, operand in schedule.in_place.items()}
        costs: dict[int, int] = {}
        scratch = rings = kept = 0  # kept: whole tensors made in the segment, for readers behind it
        dying: dict[str, tuple[int, int] | None] = {}  # whole tensors that the segment reads last
        # Grow the segment backwards, one operator at a time, while all its members feed the driver.
        for begin in range(driver, earliest - 1, -1):
            first_reader = len(members) - 1 - (driver - begin)
            if first_reader < 0 or members[first_reader] != begin:
                return costs, True
            item = self.items[begin]
            dying.pop(item.operator.result, None)
            for name in item.tensors:  # of others, no more readers are in the segment than before
                if name in dying or self.last_read[name] == begin:
                    dying[name] = self._place(name, begin, driver, schedule, first_reader)
            if begin < driver < self.last_read[item.operator.result]:
                kept += self.bytes[item.operator.result]
            scratch = max(scratch, item.scratch)
            result = item.operator.result
            if result in schedule.rings:
                row_bytes = item.operator.signature.output.row_bytes
                rings += aligned(schedule.rings[result] * row_bytes)
                if result in over:  # the two share this ring now
                    rings -= aligned(schedule.rings[over[result]] * row_bytes)
            elif item.never_whole:
                return costs, True
            if item.state and begin != driver:
                rings += aligned(item.state)
            if rings > ceiling:
                return costs, True
            self._work += _SEGMENT_WORK + len(dying)
            saved = self._saved(driver, dying.values())
            costs[begin] = self._alone_whole(begin, driver) + kept - saved + rings + scratch
            if self.items[driver].state:  # a running reduction in a cascade alone
                if begin == driver:
                    costs[begin] = self.alone(driver)
                else:
                    costs[begin] += aligned(self.items[driver].state)
        return costs, False

    def _run(self, earliest: int, driver: int) -> tuple[list[int], RowSchedule]:
        """The operators of the longest segment, and its schedule; each is run once."""
        key = (earliest, driver)
        if key not in self._runs:
            members = self.ancestors(driver, earliest)
            operators = [self.items[i].operator for i in members]
            whole = {op.result for op in operators if self.last_read[op.result] > driver}
            self._work += _OPERATOR_WORK * len(operators)
            self._work += _ROW_WORK * sum(operator.steps for operator in operators)
            schedule = simulate(operators, whole=whole)
            self._runs[key] = members, schedule
        return self._runs[key]

    def alone(self, position: int) -> int:
        """An operator that is not streamed: all its tensors whole, nothing shared."""
        return self._alone_whole(position, position) + self.items[position].scratch

    def _alone_whole(self, begin: int, driver: int) -> int:
        """Bytes of the driver's result and of the tensors made before `begin` that live then."""
        return self.before[begin] + self.bytes[self.items[driver].operator.result]

    def _whole_before(self) -> list[int]:
        """For each position, the bytes of the tensors made before it that are still needed."""
        change = [0] * (len(self.items) + 2)
        for name, made in self.made_at.items():
            change[made + 1] += self.bytes[name]
            change[self.last_read[name] + 1] -= self.bytes[name]
        return list(accumulate(change))

    def ancestors(self, driver: int, earliest: int) -> list[int]:
        """The operators from `earliest` on whose rows the driver asks for, in order."""
        wanted = {driver}
        for position in range(driver, earliest - 1, -1):
            if position in wanted:
                sources = (self.made_at[name] for name in self.items[position].tensors)
                wanted.update(source for source in sources if source >= earliest)
        return sorted(wanted)

    def _saved(self, driver: int, dying: Iterable[tuple[int, int] | None]) -> int:
        """Bytes that the driver's result shares with inputs that die in the segment."""
        output = self.bytes[self.items[driver].operator.result]
        placed = [place for place in dying if place is not None]
        return output + sum([size for size, _ in placed]) - least_span(output, placed)

    def _place(
        self, name: str, begin: int, driver: int, schedule: RowSchedule, first_reader: int
    ) -> tuple[int, int] | None:
        """Bytes and distance of an input; None if it shares no bytes with the driver's result."""
        distance = schedule.distance(name, first_reader)
        if distance is None or not self._only_row_wise(name, begin, driver):
            return None
        return self.bytes[name], distance

    def _only_row_wise(self, name: str, begin: int, driver: int) -> bool:
        positions = self.read_whole.get(name, [])
        after = bisect_left(positions, begin)
        return after == len(positions) or positions[after] > driver


def aligned(size: int) -> int:
    """`size` in bytes, rounded up to the alignment of buffers."""
    return -(-size // ALIGNMENT) * ALIGNMENT
