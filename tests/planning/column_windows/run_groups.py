"""Running a plan's groups on strips of memory: what is made, what is alive, and what it gives.

Every strip is an array of as many pixels as the planner says; a row or column that is no longer
there when it is read has another one in its place.  Products are counted as they are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from dero_tvm.planning.column_windows.grouping import Group
from tests.planning.column_windows.small_networks import Sums

Pixels = dict[tuple[int, int], int]


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

    def __init__(
        self,
        sums: Sums,
        group: Group,
        strips: dict[int, tuple[int, int]],
        *,
        keep_columns: bool = False,
    ) -> None:
        self.sums, self.group, self.keep = sums, group, keep_columns
        self.strips = {op: Strip(*size) for op, size in strips.items()}
        self.macs = 0

    def run(self, number: int, outside: dict[int, Pixels], result: Pixels) -> dict[int, set[int]]:
        """Make pass `number`; returns the rows read of each tensor from outside."""
        height, width, _ = self.sums.shapes[self.group.last + 1]
        rows = range(number * self.group.rows, min((number + 1) * self.group.rows, height))
        read: dict[int, set[int]] = {}
        made_before = dict.fromkeys(self.group.operations, 0)
        for strip in self.strips.values():
            strip.pixels.clear()
        for start in range(0, width, self.group.width):
            end = min(start + self.group.width, width)
            self._window(rows, (start, end), outside, result, read, made_before)
        return read

    def _window(self, rows, columns, outside, result, read, made_before) -> None:  # type: ignore
        down = {self.group.last: (rows.start, rows.stop)}
        across = {self.group.last: columns}
        held = {}
        for op in reversed(self.group.operations):
            if op not in down:
                down[op] = held[op][0]
                low, high = held[op][1]
                if self.keep and made_before[op] > low:
                    low = min(made_before[op], high)
                across[op] = (low, high)
                made_before[op] = max(made_before[op], high)
            for r in self.sums.operations[op]:
                needed = [
                    [n for p in range(*span) for n in axis.needed_at(p)]
                    for axis, span in ((r.rows, down[op]), (r.columns, across[op]))
                ]
                spans = [(min(n), max(n) + 1) if n else None for n in needed]
                if spans[0]:  # rows are made in turn, none left out
                    asked = [n for p in range(down[op][1]) for n in r.rows.needed_at(p)]
                    spans[0] = (spans[0][0], max(asked) + 1)
                producer = r.tensor - 1
                if producer in self.group.operations:
                    known = held.get(producer, ((0, 0), (0, 0)))
                    held[producer] = tuple(_joined(a, b) for a, b in zip(known, spans))
                else:
                    read.setdefault(r.tensor, set()).update(needed[0] if all(needed) else ())
        for op, strip in self.strips.items():
            if not self.keep:
                strip.pixels.clear()
            strip.move_to(held[op][1][0])
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


def _joined(a: tuple[int, int], b: tuple[int, int] | None) -> tuple[int, int]:
    if b is None:
        return a
    return b if a[0] == a[1] else (min(a[0], b[0]), max(a[1], b[1]))
