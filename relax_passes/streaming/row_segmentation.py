"""Which operators to run together if every row has a place of its own.

As in `segmentation`, an order of the operators is cut into segments, each run as one cascade.  But
no ring and no whole tensor stands in memory: a row lives from the call that makes it to the last
one that reads it, also where its tensor is made in one segment and read in another.  So the bytes
of a segment are the most that live during one of its calls:

    rows made before it and still needed
    rows made in it and not yet read for the last time
    less the row that a kernel may write its own over

One run of the row schedule a driver gives the calls of all segments that end with it.  A segment
grows backwards, one operator at a time; each adds the births of its rows, and may put off the
deaths of those it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .cascade_operator import CascadeOperator
from .row_schedule import calls_in_order
from .segmentation import SHORT, Item, NoSegmentation, Segmentation, SegmentCosts

_NEVER = 1 << 62
LONGEST = 64  # operators of a segment
_MOST_WORK = 28_000  # operators that are looked at, in all segments; then the longest are shorter
_FLATTER = 4  # power of a segment's bytes of which the least sum is looked for


def segment_for_row_placement(
    items: Sequence[Item],
    inputs: dict[str, int],
    outputs: Iterable[str],
    *,
    keep_inputs: bool = False,
) -> Segmentation:
    """The segmentation with the least peak of rows alive; of equal ones that which is low all over.

    `inputs` maps network inputs to bytes.  Raises ``NoSegmentation`` if some result that must not
    be whole had to be.
    """
    costs = _RowCosts(items, inputs, frozenset(outputs), keep_inputs)
    columns: list[dict[int, int]] = [{}]
    columns += [costs.ending_with(driver) for driver in range(len(items))]
    peak = [0] + [_NEVER] * len(items)
    for end in range(1, len(columns)):
        for begin, cost in columns[end].items():
            peak[end] = min(peak[end], max(peak[begin], cost))
    if peak[-1] == _NEVER:
        raise NoSegmentation("a tensor that may lie in a ring only is needed whole")
    total: list[float] = [0.0] + [float("inf")] * len(items)
    cut = [0] * len(columns)
    for end in range(1, len(columns)):
        for begin, cost in columns[end].items():
            weight = total[begin] + (cost / max(peak[-1], 1)) ** _FLATTER * (end - begin)
            if cost <= peak[-1] and weight < total[end]:
                total[end], cut[end] = weight, begin
    segments: list[tuple[int, int]] = []
    end = len(items)
    while end > 0:
        segments.append((cut[end], end))
        end = cut[end]
    segments.reverse()
    return Segmentation(tuple(segments), peak[-1])


@dataclass
class _Read:
    """When each row of a tensor is read last, in the calls of one driver; -1: never."""

    last: np.ndarray
    row_bytes: int
    dies: bool  # within the segment
    by: dict[int, int] = field(default_factory=dict)  # operator -> calls that take the row's place


class _RowCosts:
    """Bytes alive in possible segments."""

    def __init__(
        self,
        items: Sequence[Item],
        inputs: dict[str, int],
        outputs: frozenset[str],
        keep_inputs: bool,
    ) -> None:
        self.items = items
        self.whole = SegmentCosts(items, inputs, outputs, keep_inputs)
        self.longest = min(max(_MOST_WORK // max(len(items), 1), SHORT), LONGEST)
        self._last_calls: dict[tuple[str, int, int], np.ndarray] = {}

    def last_calls(self, operator: CascadeOperator, index: int, made: int) -> np.ndarray:
        """Which of an operator's first `made` calls reads each row of an operand last; -1: none."""
        key = (operator.result, index, made)
        if key not in self._last_calls:
            oldest = np.asarray(operator.needs(index).alive_from(made))
            rows = np.arange(operator.signature.inputs[index].rows)
            calls = np.searchsorted(oldest, rows, side="right") - 1
            self._last_calls[key] = np.minimum(calls, made - 1)
        return self._last_calls[key]

    def ending_with(self, driver: int) -> dict[int, int]:
        """Bytes of the segments driven by operator `driver`, by their beginnings."""
        item = self.items[driver]
        if item.never_whole:
            return {}
        if not item.streamable:
            return {driver: self.whole.alone(driver)}
        earliest = driver
        while earliest > max(0, driver - self.longest + 1) and self.items[earliest - 1].streamable:
            earliest -= 1
        return _Segment(self, earliest, driver).costs()


class _Segment:
    """The segments with one driver, growing backwards."""

    def __init__(self, costs_of: _RowCosts, earliest: int, driver: int) -> None:
        self.costs_of = costs_of
        self.whole = whole = costs_of.whole
        self.items = whole.items
        self.driver = driver
        self.members = whole.ancestors(driver, earliest)
        operators = [self.items[i].operator for i in self.members]
        lasting = {op.result for op in operators if whole.last_read[op.result] > driver}
        calls = np.array(calls_in_order(operators, whole=lasting), np.int64)
        self.calls = len(calls)
        by_member = np.argsort(calls, kind="stable")
        ends = np.cumsum(np.bincount(calls, minlength=len(self.members)))[:-1]
        self.times = dict(zip(self.members, np.split(by_member, ends), strict=True))
        self.change = np.zeros(self.calls + 2, np.int64)
        self.reads: dict[str, _Read] = {}
        # The call that takes the place of a dying row, and of which tensor.
        self.taken: dict[int, str] = {}

    def costs(self) -> dict[int, int]:
        """Bytes by beginning."""
        found: dict[int, int] = {}
        scratch = 0
        for turn, begin in enumerate(range(self.driver, -1, -1)):
            if turn >= len(self.members) or self.members[-1 - turn] != begin:
                break
            item = self.items[begin]
            self._add(begin)
            scratch = max(scratch, item.scratch)
            if item.never_whole and begin == self.driver:
                break
            live = np.cumsum(self.change[: self.calls])
            found[begin] = self.whole.before[begin] + int(live.max(initial=0)) + scratch
            if begin == self.driver and item.state:
                found[begin] = self.whole.alone(begin)  # alone it takes all at once
        return found

    def _add(self, begin: int) -> None:
        operator, times = self.items[begin].operator, self.times[begin]
        if not len(times):  # nobody wants its rows
            return
        for index, name in enumerate(operator.operands):
            if self.items[begin].tensors.get(name):  # not a constant, nor outside the arena
                self._reads(begin, index, name)
        result = operator.result
        births = times
        if operator.running_reduction:
            state = self.items[begin].state
            self.change[times[0]] += state
            self.change[times[-1] + 1] -= state
            births = times[-1:]
        size = operator.signature.output.row_bytes
        np.add.at(self.change, births, size)
        read = self.reads.get(result)
        if read is None:
            if begin < self.driver and self.whole.last_read[result] <= self.driver:
                np.subtract.at(self.change, births + 1, size)
            return
        if read.dies and len(read.last) != operator.signature.output.rows:  # read as a view
            self._deaths(result, read, -1)
            read.dies = False
        if not read.dies:
            return
        unread = np.flatnonzero(read.last[: len(births)] < 0)
        np.subtract.at(self.change, births[unread] + 1, size)

    def _reads(self, reader: int, index: int, name: str) -> None:
        """Put off the deaths of the rows of a tensor that an operator reads."""
        operator, times = self.items[reader].operator, self.times[reader]
        spec = operator.signature.inputs[index]
        read = self.reads.get(name)
        if read is None:
            dies = self.whole.last_read[name] <= self.driver
            read = _Read(np.full(spec.rows, -1, np.int64), spec.row_bytes, dies)
            self.reads[name] = read
        elif len(read.last) != spec.rows:  # a view of another shape: not followed
            if read.dies:
                self._deaths(name, read, -1)
            read.dies = False
            return
        if read.dies:
            self._deaths(name, read, -1)
        calls = self.costs_of.last_calls(operator, index, len(times))
        read.last = np.maximum(read.last, np.append(times, -1)[calls])
        if self._may_take(reader, index):
            read.by[reader] = index
        if read.dies:
            self._deaths(name, read, 1)

    def _may_take(self, reader: int, index: int) -> bool:
        """Whether the reader may write its rows over those of an operand."""
        operator = self.items[reader].operator
        if operator.running_reduction or index not in operator.in_place:
            return False
        return operator.signature.inputs[index].row_bytes == operator.signature.output.row_bytes

    def _deaths(self, name: str, read: _Read, sign: int) -> None:
        """Count the deaths of a tensor's rows, or take them back."""
        known = read.last >= 0
        np.subtract.at(self.change, read.last[known] + 1, sign * read.row_bytes)
        for reader in read.by:
            times = self.times[reader]
            rows = min(len(times), len(read.last))
            for time in times[:rows][read.last[:rows] == times[:rows]].tolist():
                if sign > 0 and time not in self.taken:
                    self.taken[time] = name
                elif sign > 0 or self.taken.get(time) != name:
                    continue
                else:
                    del self.taken[time]
                self.change[time] -= sign * read.row_bytes
                self.change[time + 1] += sign * read.row_bytes
