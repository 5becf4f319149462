"""Running a plan's groups on strips of memory: what is made, what is alive, and what it gives.

Every strip is an array of as many pixels as the planner says; a row or column that is no longer
there when it is read has another one in its place.  Products are counted as they are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from dero_tvm.planning.column_windows.grouping import Group
from tests.planning.column_windows.small_networks import Axis, Read, Sums

Pixels = dict[tuple[int, int], int]
Span = tuple[int, int]


@dataclass
class Strip:
    """`pixels` by row in the ring and column behind the first, each with the pixel it holds."""

    height: int
    width: int

    def __post_init__(self) -> None:
        self.first = 0
        self.pixels: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}

    def put(self, row: int, column: int, value: int) -> None:
        assert 0 <= column - self.first < self.width, "beside the strip"
        self.pixels[row % self.height, column - self.first] = (row, column), value

    def get(self, row: int, column: int) -> int:
        assert 0 <= column - self.first < self.width, "beside the strip"
        pixel, value = self.pixels[row % self.height, column - self.first]
        assert pixel == (row, column), f"pixel {row}, {column} is no longer there"
        return value

    def move_to(self, first: int) -> None:
        moved = {(r, c + self.first - first): p for (r, c), p in self.pixels.items()}
        self.pixels = {key: p for key, p in moved.items() if 0 <= key[1] < self.width}
        self.first = first


class _View(dict):  # type: ignore[type-arg]
    def __init__(self, strip: Strip) -> None:
        self.strip = strip

    def __missing__(self, pixel: tuple[int, int]) -> int:
        return self.strip.get(*pixel)


class GroupRun:
    """One group's passes; `heights` and `widths` of its strips by operation."""

    def __init__(self, sums: Sums, group: Group, strips: dict[int, tuple[int, int]]) -> None:
        self.sums, self.group = sums, group
        self.strips = {op: Strip(*size) for op, size in strips.items()}
        self.macs = 0
        width = sums.shapes[group.last + 1][1]
        starts = range(0, width, group.width)
        self.held: dict[int, list[Span]] = {}
        self.across = {group.last: [(x, min(x + group.width, width)) for x in starts]}
        for op in reversed(group.operations[:-1]):
            self._columns(op)

    def _columns(self, op: int) -> None:
        """What an operation holds in each window, and what it makes of that."""
        held: list[Span] = []
        for window in range(len(self.across[self.group.last])):
            span: Span = (0, 0)
            for reader, reads in self._readers(op):
                for r in reads:
                    columns = range(*self.across[reader][window])
                    span = _joined(span, _bounds(r.columns, columns))
            held.append(span)
        made = held
        if self.group.keeps_columns:
            ends = [max(end for _, end in held[: n + 1]) for n in range(len(held))]
            some = [(n, span[0]) for n, span in enumerate(held) if span[0] < span[1]]
            begins = [min([e, *(b for m, b in some if m >= n)]) for n, e in enumerate(ends)]
            held = list(zip(begins, ends))
            made = [(max(b, before), e) for (b, e), before in zip(held, [0, *ends])]
        self.held[op], self.across[op] = held, made

    def _readers(self, op: int) -> list[tuple[int, list[Read]]]:
        inside = range(op + 1, self.group.last + 1)
        found = [(o, [r for r in self.sums.operations[o] if r.tensor == op + 1]) for o in inside]
        return [(reader, reads) for reader, reads in found if reads]

    def run(self, number: int, outside: dict[int, Pixels], result: Pixels) -> dict[int, set[int]]:
        """Make pass `number`; returns the rows read of each tensor from outside."""
        height = self.sums.shapes[self.group.last + 1][0]
        rows = range(number * self.group.rows, min((number + 1) * self.group.rows, height))
        read: dict[int, set[int]] = {}
        for strip in self.strips.values():
            strip.pixels.clear()
        for window in range(len(self.across[self.group.last])):
            self._window(rows, window, outside, result, read)
        return read

    def _window(self, rows, window, outside, result, read) -> None:  # type: ignore
        down = {self.group.last: (rows.start, rows.stop)}
        across = {op: spans[window] for op, spans in self.across.items()}
        for op in reversed(self.group.operations):
            for r in self.sums.operations[op]:
                span = _bounds(r.rows, range(*down.setdefault(op, (0, 0))))
                if span:  # rows are made in turn, none left out
                    asked = [n for p in range(down[op][1]) for n in r.rows.needed_at(p)]
                    span = (span[0], max(asked) + 1)
                if r.tensor - 1 in self.group.operations:
                    down[r.tensor - 1] = _joined(down.get(r.tensor - 1, (0, 0)), span)
                elif _bounds(r.columns, range(*across[op])):
                    read.setdefault(r.tensor, set()).update(
                        n for p in range(*down[op]) for n in r.rows.needed_at(p)
                    )
        for op, strip in self.strips.items():
            if not self.group.keeps_columns:
                strip.pixels.clear()
            strip.move_to(self.held[op][window][0])
        made = {op: down[op][0] for op in down}
        views = [
            _View(self.strips[t - 1]) if t - 1 in self.strips else outside.get(t, {})
            for t in range(len(self.sums.shapes))
        ]
        for _ in rows:
            self._make(self.group.last, made, down, across, views, result)

    def _make(self, op, made, down, across, views, result) -> None:  # type: ignore
        row = made[op]
        depth = {o: len(self._above(o)) for o in self.group.operations}
        inner = [r for r in self.sums.operations[op] if r.tensor - 1 in self.strips]
        for r in sorted(inner, key=lambda r: depth[r.tensor - 1]):
            asked = [n + 1 for p in range(row + 1) for n in r.rows.needed_at(p)]
            while made[r.tensor - 1] < min(max(asked, default=0), down[r.tensor - 1][1]):
                self._make(r.tensor - 1, made, down, across, views, result)
        for column in range(*across[op]):
            value = self.sums.pixel(op, row, column, views)
            self.macs += self.sums.macs_at(op)
            if op in self.strips:
                self.strips[op].put(row, column, value)
            else:
                result[row, column] = value
        made[op] = row + 1

    def _above(self, op: int) -> set[int]:
        found = {op}
        for r in self.sums.operations[op]:
            if r.tensor - 1 in self.strips:
                found |= self._above(r.tensor - 1)
        return found


def _bounds(axis: Axis, positions: range) -> Span | None:
    needed = [n for position in positions for n in axis.needed_at(position)]
    return (min(needed), max(needed) + 1) if needed else None


def _joined(a: Span, b: Span | None) -> Span:
    if b is None:
        return a
    return b if a[0] == a[1] else (min(a[0], b[0]), max(a[1], b[1]))
