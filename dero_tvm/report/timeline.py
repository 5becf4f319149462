"""What is in memory during each step of one plan.  All sizes and offsets are in bytes.

Buffers may share bytes, where an output is written over an input that dies.  A step's buffers are
therefore stacked in the order in which they came to life, and each counts for the bytes that none
below it has:

    bytes     | step 0 | step 1 |
      o  xxx  | input  | input  |      x: 640 bytes
      yyyyy   |        | y      |      y: 512 bytes, of which 384 lie over x: 128 on top of it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby

SHORTCUT = "shortcut"
"""The role of a tensor while it is kept for a residual join alone."""

ROLES = {
    "input": ("input", "#2f7ed8"),
    "output": ("output", "#17936b"),
    "intermediate": ("tensor", "#aab4c0"),
    SHORTCUT: ("tensor kept for a residual join alone", "#ec7433"),
    "ring": ("ring of rows", "#7d63cc"),
    "scratch": ("scratch", "#d7a71c"),
}
"""Role -> what legends call it, and its colour on a light page."""


@dataclass(frozen=True)
class ReportedBuffer:
    """Where a buffer lies, and during which steps of the order."""

    name: str
    label: str
    kind: str  # input, output, intermediate, ring, scratch
    size: int
    region: str  # "" if it lies in the caller's memory
    offset: int
    first_step: int  # -1: alive before the first step
    last_step: int
    tensors: tuple[str, ...] = ()  # what lies in it: names with shape and type
    shortcut_of: tuple[str, ...] = ()  # residual joins whose shortcut it is
    waits: tuple[int, ...] = ()  # steps in which nothing but those joins has a use for it

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
class Timeline:
    """One plan in time: its steps in order of execution, and its buffers."""

    arena_bytes: int
    regions: Mapping[str, int]
    steps: tuple[ReportedStep, ...]
    buffers: tuple[ReportedBuffer, ...]

    def check(self) -> None:
        """ValueError if a buffer lies in no region, or lives in steps that there are not."""
        for buffer in self.buffers:
            first, last = buffer.first_step, buffer.last_step
            inside = -1 <= first <= last < max(1, len(self.steps))
            placed = buffer.region in self.regions or buffer.region == ""
            sizes = (buffer.size, buffer.offset, *buffer.waits)
            if not inside or not placed or min(sizes) < 0 or max((0, *buffer.waits)) > last:
                raise ValueError(f"the buffer {buffer.name!r} cannot be as it is described")

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """For each step the number of operators before it; last, the number of all.

        A cascade counts as its operators, so that plans of one network have like axes.
        """
        return tuple(accumulate((max(1, len(s.operators)) for s in self.steps), initial=0))

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
        """Buffers alive during a step, oldest first."""
        found = [i for i, b in enumerate(self.buffers) if b.first_step <= step <= b.last_step]
        return sorted(found, key=lambda i: (self.buffers[i].first_step, self._span(i)))

    def layers(self, step: int) -> Iterator[Layer]:
        """The stack of a step from bottom to top; its height is the step's `live_bytes`."""
        covered: list[tuple[int, int]] = []  # disjoint spans
        height = 0
        for index in self.alive(step):
            start, end = self._span(index)
            shared = sum(max(0, min(end, e) - max(start, s)) for s, e in covered)
            role = self.buffers[index].role(step)
            yield Layer(index, role, height, end - start - shared)
            height += end - start - shared
            covered = _with_span(covered, start, end)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The roles that occur, in the order of `ROLES`."""
        found = {buffer.kind for buffer in self.buffers}
        if any(buffer.waits for buffer in self.buffers):
            found.add(SHORTCUT)
        return tuple(role for role in ROLES if role in found)

    def sharers(self, index: int) -> list[ReportedBuffer]:
        """The buffers that lie, at some time, over bytes of one that is alive."""
        one = self.buffers[index]
        return [
            other
            for number, other in enumerate(self.buffers)
            if number != index
            and max(one.first_step, other.first_step) <= min(one.last_step, other.last_step)
            and _meet(self._span(index), self._span(number))
        ]

    def _span(self, index: int) -> tuple[int, int]:
        buffer = self.buffers[index]
        start = self.bases.get(buffer.region, 0) + buffer.offset
        return start, start + buffer.size


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return max(a[0], b[0]) < min(a[1], b[1])


def _with_span(spans: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """`spans`, disjoint ones, with one more; those that touch it become one."""
    apart = [(s, e) for s, e in spans if e < start or s > end]
    joined = [(s, e) for s, e in spans if not (e < start or s > end)]
    for s, e in joined:
        start, end = min(start, s), max(end, e)
    return [*apart, (start, end)]
