"""What is in memory during each step of one plan.  All sizes and offsets are in bytes.

Buffers may share bytes, where an output is written over an input that dies.  A step's buffers are
therefore stacked in the order in which they came to life, and each counts for the bytes that none
below it has:

    bytes     | step 0 | step 1 |
      o  xxx  | input  | input  |      x: 640 bytes
      yyyyy   |        | y      |      y: 512 bytes, of which 384 lie over x: 128 on top of it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import NamedTuple

SHORTCUT = "shortcut"
"""The role of a tensor while it is kept for a residual join alone."""


class Role(NamedTuple):
    """What legends call a role, and its colours on light and on dark pages."""

    label: str
    light: str
    dark: str


ROLES = {
    "input": Role("input", "#2f7ed8", "#4a94e8"),
    "output": Role("output", "#17936b", "#25a67c"),
    "intermediate": Role("tensor", "#aab4c0", "#66707c"),
    SHORTCUT: Role("tensor kept for a residual join alone", "#ec7433", "#e8742f"),
    "ring": Role("ring of rows", "#7d63cc", "#8f78dc"),
    "scratch": Role("scratch", "#d7a71c", "#c4961a"),
    "patch": Role("windows of columns", "#c26a9f", "#b2689a"),
    "state": Role("state that lasts between inferences", "#a8577e", "#a8577e"),
}


MOST_COLUMNS = 600
"""Columns of a chart: more are narrower than a pixel of a phone."""


@dataclass(frozen=True)
class Cell:
    """Rows of a tensor that lie side by side and live equally long, in a row placement."""

    row: int  # the first of them
    rows: int
    offset: int
    size: int  # of all
    first_call: int  # of a row kernel, counted over the whole inference
    last_call: int


@dataclass(frozen=True)
class ReportedBuffer:
    """Where a buffer lies, and during which steps of the order.

    In a row placement it is a tensor of which `cells` tell where each row lies and when; `size` is
    then the most of it that is alive at once, and `offset` the lowest address.
    """

    name: str
    label: str
    kind: str  # input, output, intermediate, ring, scratch, patch, state
    size: int
    region: str  # "" if it lies in the caller's memory
    offset: int
    first_step: int  # -1: alive before the first step
    last_step: int
    tensors: tuple[str, ...] = ()  # what lies in it: names with shape and type
    shortcut_of: tuple[str, ...] = ()  # residual joins whose shortcut it is
    waits: tuple[int, ...] = ()  # steps in which nothing but those joins has a use for it
    rows: int = 0  # of the whole tensor, in a row placement
    cells: tuple[Cell, ...] = ()
    layers: tuple[str, ...] = ()  # of the model file, whose tensors lie in it

    @property
    def title(self) -> str:
        """Its label, and how many of its rows are there at once."""
        if self.rows < 2 or not self.cells:
            return self.label
        most = self.size // max(1, self.cells[0].size // max(1, self.cells[0].rows))
        return self.label if most == self.rows else f"{self.label}, at most {most} of its rows"

    def role(self, step: int) -> str:
        """Its kind, or `SHORTCUT`."""
        return SHORTCUT if step in self.waits else self.kind


@dataclass(frozen=True)
class ReportedStep:
    """One step of execution: an operator, or a cascade of them."""

    name: str
    operators: tuple[str, ...]
    output: str  # shape and type
    live_bytes: int  # of all buffers alive while it runs, shared bytes counted once
    macs: int
    calls: int = 0  # of row kernels, in a row placement
    peak_call: int = 0  # that with most bytes alive, which are `live_bytes`
    layers: tuple[str, ...] = ()  # of the model file, after which its operators are named
    call_bytes: int = 0  # in flash, of the order in which its rows are made

    @property
    def summary(self) -> str:
        """Its operators with runs counted: ``3 conv2d + add``."""
        runs = [(name, len(list(run))) for name, run in groupby(self.operators)]
        return " + ".join(name if count == 1 else f"{count} {name}" for name, count in runs)


@dataclass(frozen=True)
class Layer:
    """A buffer in the stack of one step: `own` bytes on top of those it shares with others."""

    index: int  # of the buffer
    role: str
    bottom: int  # bytes of the layers below
    own: int  # may be 0


@dataclass(frozen=True)
class Column:
    """What is alive for a time: a step, or in a row placement some calls of one.

    `left` and `right` count operators, as `Timeline.starts` does; `calls` are its first call and
    that behind its last.
    """

    left: float
    right: float
    calls: tuple[int, int]
    step: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Timeline:
    """One plan in time: its steps in order of execution, and its buffers."""

    arena_bytes: int
    regions: Mapping[str, int]
    steps: tuple[ReportedStep, ...]
    buffers: tuple[ReportedBuffer, ...]

    def check(self) -> None:
        """ValueError if a buffer lies in no region, or lives in steps that there are not."""
        calls = sum(step.calls for step in self.steps)
        for buffer in self.buffers:
            first, last = buffer.first_step, buffer.last_step
            inside = -1 <= first <= last < max(1, len(self.steps))
            placed = buffer.region in self.regions or buffer.region == ""
            sizes = (buffer.size, buffer.offset, *buffer.waits)
            cells = all(
                0 <= cell.first_call <= cell.last_call < calls
                and min(cell.row, cell.rows, cell.offset, cell.size) >= 0
                for cell in buffer.cells
            )
            inside &= cells and max((0, *buffer.waits)) <= last
            if not inside or not placed or min(sizes) < 0:
                raise ValueError(f"the buffer {buffer.name!r} cannot be as it is described")

    @cached_property
    def by_rows(self) -> bool:
        """Whether each row has an address."""
        return any(buffer.cells for buffer in self.buffers)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """For each step the number of operators before it; last, the number of all.

        A cascade counts as its operators, so that plans of one network have like axes.
        """
        return tuple(accumulate((max(1, len(s.operators)) for s in self.steps), initial=0))

    @cached_property
    def call_starts(self) -> tuple[float, ...]:
        """For each call the place at which it begins, in operators; last, where all have ended."""
        return self.of_calls(self.starts)

    def of_calls(self, of_steps: Sequence[float]) -> tuple[float, ...]:
        """When each call begins, and last when all have ended, if steps begin at `of_steps`."""
        places: list[float] = []
        for step, start, end in zip(self.steps, of_steps, of_steps[1:]):
            places += [start + call * (end - start) / step.calls for call in range(step.calls)]
        return (*places, of_steps[-1])

    @cached_property
    def bases(self) -> dict[str, int]:
        """Where each region begins if the regions lie one after the other."""
        return dict(zip(self.regions, accumulate(self.regions.values(), initial=0)))

    @cached_property
    def peak(self) -> int:
        """The step with most bytes alive, the first of equal ones; 0 if there are no steps."""
        live = [step.live_bytes for step in self.steps]
        return live.index(max(live)) if live else 0

    def alive(self, step: int) -> list[int]:
        """Buffers alive during a step, oldest first; by rows, during its call with most bytes."""
        return [index for index, _ in self._stack(step, self.steps[step].peak_call)]

    def spans(self, index: int, step: int) -> list[tuple[int, int]]:
        """From where to where the bytes of a buffer lie that are alive then, regions in a row."""
        return dict(self._stack(step, self.steps[step].peak_call)).get(index, [])

    def layers(self, step: int) -> Iterator[Layer]:
        """The stack of a step from bottom to top; its height is the step's `live_bytes`."""
        yield from self._layers(step, self.steps[step].peak_call)

    def columns(self, most: int = MOST_COLUMNS) -> Iterator[Column]:
        """The stacks of all steps; in a row placement of each call, or of the largest of several.

        There are some `most` of them at most, or as many as steps.
        """
        calls = sum(step.calls for step in self.steps)
        begun = 0
        for number, step in enumerate(self.steps):
            if not step.calls or calls > 20 * most:
                stack = tuple(self.layers(number))
                ends = (self.starts[number], self.starts[number + 1])
                yield Column(*ends, (begun, begun + step.calls), number, stack)
                begun += step.calls
                continue
            width = -(-calls // most)
            for first in range(begun, begun + step.calls, width):
                end = min(first + width, begun + step.calls)
                call = max(range(first, end), key=self._bytes_of_calls.__getitem__)
                stack = tuple(self._layers(number, call))
                left, right = self.call_starts[first], self.call_starts[end]
                yield Column(left, right, (first, end), number, stack)
            begun += step.calls

    @cached_property
    def has_layers(self) -> bool:
        """Whether it is known from which layers of a model file its operators are."""
        return any(step.layers for step in self.steps)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The roles that occur, in the order of `ROLES`."""
        found = {buffer.kind for buffer in self.buffers}
        if any(buffer.waits for buffer in self.buffers):
            found.add(SHORTCUT)
        return tuple(role for role in ROLES if role in found)

    def sharers(self, index: int) -> list[ReportedBuffer]:
        """The buffers that lie, at some time, over bytes of one that is alive."""
        return [self.buffers[other] for other in sorted(self._shared[index])]

    @cached_property
    def _shared(self) -> list[set[int]]:
        """For each buffer those that lie over bytes of it while both are alive."""
        found: list[set[int]] = [set() for _ in self.buffers]
        active: list[_Piece] = []
        for piece in sorted(self._pieces()):
            active = [other for other in active if other.last >= piece.first]
            for other in active:
                apart = other.buffer == piece.buffer
                if not apart and max(piece.start, other.start) < min(piece.end, other.end):
                    found[piece.buffer].add(other.buffer)
                    found[other.buffer].add(piece.buffer)
            active.append(piece)
        return found

    def _pieces(self) -> Iterator[_Piece]:
        """All buffers as rectangles; time counts steps, or calls in a row placement."""
        for index, buffer in enumerate(self.buffers):
            base = self.bases.get(buffer.region, 0)
            for c in buffer.cells:
                start = base + c.offset
                yield _Piece(c.first_call, c.last_call, index, start, start + c.size)
            if not buffer.cells:
                yield _Piece(buffer.first_step, buffer.last_step, index, *self._span(index))

    @cached_property
    def _by_call(self) -> list[list[_Piece]]:
        """The pieces alive during each call of a row placement."""
        found: list[list[_Piece]] = [[] for _ in range(sum(step.calls for step in self.steps))]
        for piece in self._pieces():
            if self.buffers[piece.buffer].cells:
                for call in range(piece.first, piece.last + 1):
                    found[call].append(piece)
        return found

    @cached_property
    def _bytes_of_calls(self) -> list[int]:
        """Bytes alive during each call of a row placement."""
        return [
            sum(_own_bytes([[(piece.start, piece.end)] for piece in pieces]))
            for pieces in self._by_call
        ]

    def _stack(self, step: int, call: int) -> list[tuple[int, list[tuple[int, int]]]]:
        """What is alive, oldest first, each with its spans."""
        spans: dict[int, list[tuple[int, int]]] = {}
        if self.by_rows:
            for piece in self._by_call[call]:
                spans.setdefault(piece.buffer, []).append((piece.start, piece.end))
            return sorted(spans.items(), key=lambda item: (self._begins[item[0]], item[0]))
        spans = {
            index: [self._span(index)]
            for index, buffer in enumerate(self.buffers)
            if buffer.first_step <= step <= buffer.last_step
        }
        return sorted(spans.items(), key=lambda item: (self._begins[item[0]], item[1]))

    def _layers(self, step: int, call: int) -> Iterator[Layer]:
        stack = self._stack(step, call)
        height = 0
        for (index, _), own in zip(stack, _own_bytes([spans for _, spans in stack])):
            yield Layer(index, self.buffers[index].role(step), height, own)
            height += own

    @cached_property
    def _begins(self) -> list[int]:
        """When each buffer begins to live."""
        return [
            min((cell.first_call for cell in buffer.cells), default=buffer.first_step)
            for buffer in self.buffers
        ]

    def _span(self, index: int) -> tuple[int, int]:
        buffer = self.buffers[index]
        start = self.bases.get(buffer.region, 0) + buffer.offset
        return start, start + buffer.size


class _Piece(NamedTuple):
    """A rectangle of memory and time, both ends of the time included."""

    first: int
    last: int
    buffer: int
    start: int
    end: int


def _own_bytes(stack: list[list[tuple[int, int]]]) -> list[int]:
    """For each member of a stack the bytes of its spans that no earlier one has."""
    own = [0] * len(stack)
    flat = sorted((start, end, rank) for rank, spans in enumerate(stack) for start, end in spans)
    group: list[tuple[int, int, int]] = []  # spans that meet
    reached = 0
    for span in [*flat, None]:
        if group and (span is None or span[0] >= reached):
            covered: list[tuple[int, int]] = []  # disjoint spans
            for start, end, rank in sorted(group, key=lambda s: s[2]):
                own[rank] += end - start
                if len(group) > 1:
                    own[rank] -= sum(max(0, min(end, e) - max(start, s)) for s, e in covered)
                    covered = _with_span(covered, start, end)
            group = []
        if span is not None:
            reached = max(reached, span[1]) if group else span[1]
            group.append(span)
    return own


def _with_span(spans: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """`spans`, disjoint ones, with one more; those that touch it become one."""
    apart = [(s, e) for s, e in spans if e < start or s > end]
    joined = [(s, e) for s, e in spans if not (e < start or s > end)]
    for s, e in joined:
        start, end = min(start, s), max(end, e)
    return [*apart, (start, end)]
