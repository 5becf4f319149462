"""Packing buffers in one region: the problem, and placing them one by one at the lowest address.

Buffers are rectangles, fixed in time and free in address:

    address
      ^   +-----------+
      |   |     c     |  +------+
      |   +---+-------+  |  d   |
      |   | a |  |  b    +------+--+
      |   +---+  +-----------------+
      +----------------------------> time

Two rectangles that meet in time keep a gap: with i below j, ``address(j) - address(i)`` is at
least the size of i, or less where an overlap constraint allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd
from typing import Protocol

from .overlap import shared_bytes


class Conflicting(Protocol):
    """Items to place of which `neighbours` says how far apart two of them have to lie.

    It has per item every other alive at the same time, with the gap above the item and below it.
    """

    @property
    def sizes(self) -> Sequence[int]:
        """Bytes of each."""

    @property
    def alignments(self) -> Sequence[int]:
        """Bytes of which the address of each is a multiple."""

    @property
    def neighbours(self) -> Sequence[Sequence[tuple[int, int, int]]]:
        """For each item: another, and the two gaps."""

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Packing:
    """Rectangles to place.  Item i has `sizes[i]` bytes and lives from `starts[i]` to before
    `ends[i]`.  `overlaps` maps (output, input) to the least ``address(input) - address(output)``
    at which the two may share bytes.
    """

    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    alignments: tuple[int, ...]
    overlaps: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sizes)

    def gap(self, below: int, above: int) -> int:
        """Least distance of the addresses of two items alive together."""
        size = self.sizes[below]
        return min(size, self.overlaps.get((below, above), size))

    @cached_property
    def unit(self) -> int:
        """Greatest number of bytes that every size, alignment and distance is a multiple of.

        So is the height of every placement worth having.
        """
        return gcd(*self.sizes, *self.alignments, *self.overlaps.values())

    @cached_property
    def neighbours(self) -> list[list[tuple[int, int, int]]]:
        """Per item: every other alive at the same time, with the gap above it and below it."""
        result: list[list[tuple[int, int, int]]] = [[] for _ in self.sizes]
        by_start = sorted(range(len(self)), key=lambda i: (self.starts[i], i))
        for place, i in enumerate(by_start):
            for j in by_start[place + 1 :]:
                if self.starts[j] >= self.ends[i]:
                    break
                if self.ends[j] > self.starts[j] and self.ends[i] > self.starts[i]:
                    up, down = self.gap(i, j), self.gap(j, i)
                    result[i].append((j, up, down))
                    result[j].append((i, down, up))
        return result

    def height(self, offsets: Sequence[int]) -> int:
        """Bytes that a placement takes."""
        return max((o + s for o, s in zip(offsets, self.sizes, strict=True)), default=0)

    def lower_bound(self) -> int:
        """The most bytes alive at once, less what overlap constraints can save."""
        changes: dict[int, int] = {}
        for size, start, end in zip(self.sizes, self.starts, self.ends, strict=True):
            changes[start] = changes.get(start, 0) + size
            changes[end] = changes.get(end, 0) - size
        saved: dict[int, dict[tuple[int, int], int]] = {}
        for pair, distance in self.overlaps.items():
            begin = max(self.starts[item] for item in pair)
            if begin < min(self.ends[item] for item in pair):
                saved.setdefault(begin, {})[pair] = distance
        sizes = dict(enumerate(self.sizes))
        total = most = 0
        for moment in sorted(changes):
            total += changes[moment]
            most = max(most, total - shared_bytes(sizes, saved.get(moment, {})))
        return most

    def loads(self) -> list[int]:
        """Per item: the most bytes alive at once during its life, overlaps not counted."""
        moments = sorted(set(self.starts))
        numbers = {moment: number for number, moment in enumerate(moments)}
        totals = [0] * len(moments)
        spans = []
        for size, start, end in zip(self.sizes, self.starts, self.ends, strict=True):
            first = numbers[start]
            last = first
            while last < len(moments) and moments[last] < end:
                totals[last] += size
                last += 1
            spans.append((first, max(last, first + 1)))
        return [max(totals[first:last]) for first, last in spans]

    def subset(self, items: Sequence[int]) -> Packing:
        """The packing of some items alone, renumbered in the order given."""
        numbers = {item: number for number, item in enumerate(items)}
        return Packing(
            tuple(self.sizes[i] for i in items),
            tuple(self.starts[i] for i in items),
            tuple(self.ends[i] for i in items),
            tuple(self.alignments[i] for i in items),
            {
                (numbers[a], numbers[b]): distance
                for (a, b), distance in self.overlaps.items()
                if a in numbers and b in numbers
            },
        )


def lowest_address(
    packing: Conflicting, item: int, offsets: Sequence[int | None], limit: int | None = None
) -> int | None:
    """Lowest legal address of `item` beside those placed (offset not None).

    None if the item would end above `limit`.
    """
    forbidden = []
    for other, gap_above, gap_below in packing.neighbours[item]:
        at = offsets[other]
        if at is not None and -gap_above < gap_below:
            forbidden.append((at - gap_above, at + gap_below))  # open interval
    forbidden.sort()
    alignment = packing.alignments[item]
    address = 0
    for low, high in forbidden:
        if address <= low:
            break
        if high > address:
            address = -(-high // alignment) * alignment
    if limit is not None and address + packing.sizes[item] > limit:
        return None
    return address


def place_in_turn(packing: Packing, turns: Iterable[int]) -> list[int]:
    """Addresses from placing each item, in this order, at its lowest legal address."""
    offsets: list[int | None] = [None] * len(packing)
    for item in turns:
        offsets[item] = lowest_address(packing, item, offsets)
    return [offset for offset in offsets if offset is not None]
