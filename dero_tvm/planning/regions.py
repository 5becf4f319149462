"""Dividing buffers among several regions, the first of which is preferred.

A buffer goes to the first region that still has room for it during its life.  Which buffers come
first decides the outcome, so several orders are tried; of the divisions that fit, the one with
the fewest bytes outside the first region wins, then outside the second, and so on.  Each region
is then packed anew by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .budget import Budget
from .greedy import in_order
from .packer import Packed, pack
from .packing import Packing, lowest_address
from .problem import BufferKind

TRY_SHARE = 0.05  # of the time limit, for each region of each division
IO = (BufferKind.INPUT, BufferKind.OUTPUT)


def distribute(
    packing: Packing, kinds: Sequence[BufferKind], capacities: Sequence[int], budget: Budget
) -> list[tuple[list[int], Packed]] | None:
    """Per region: the items in it and their addresses.  None if no division is found that fits."""
    best: tuple[tuple[int, ...], list[tuple[list[int], Packed]]] | None = None
    for turns in _orders(packing, kinds):
        groups = _first_region_with_room(packing, turns, capacities)
        if groups is None:
            continue
        quick = budget.part(TRY_SHARE)
        packed = [(items, pack(packing.subset(items), quick)) for items, _ in groups]
        for number, ((items, offsets), (_, result)) in enumerate(zip(groups, packed, strict=True)):
            height = packing.subset(items).height(offsets)
            if height < result.height:
                packed[number] = (items, Packed(offsets, height, min(result.bound, height)))
        if any(r.height > c for (_, r), c in zip(packed, capacities, strict=True)):
            continue
        score = tuple(result.height for _, result in reversed(packed))
        if best is None or score < best[0]:
            best = (score, packed)
    return None if best is None else best[1]


def _orders(packing: Packing, kinds: Sequence[BufferKind]) -> Iterator[list[int]]:
    """Who may choose a region first: those that come last are the ones that move out."""
    size, start = packing.sizes, packing.starts
    life = [b - a for a, b in zip(start, packing.ends, strict=True)]
    loads = packing.loads()
    io_last = [kind in IO for kind in kinds]
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (io_last[i], size[i], start[i]),
        lambda i: (io_last[i], -size[i], start[i]),
        lambda i: (io_last[i], -loads[i], -start[i]),
        lambda i: (size[i], start[i]),
        lambda i: (size[i] * life[i], start[i]),
        lambda i: (-size[i], start[i]),
        lambda i: (-loads[i], -size[i], start[i]),
        lambda i: (life[i], -size[i], start[i]),
        lambda i: (-start[i], size[i]),
        lambda i: (start[i], size[i]),
    )
    for key in keys:
        yield in_order(len(packing), key)


def _first_region_with_room(
    packing: Packing, turns: Sequence[int], capacities: Sequence[int]
) -> list[tuple[list[int], list[int]]] | None:
    """Per region: items, ascending, and their addresses."""
    taken: list[list[int | None]] = [[None] * len(packing) for _ in capacities]
    for item in turns:
        for offsets, capacity in zip(taken, capacities, strict=True):
            offsets[item] = lowest_address(packing, item, offsets, capacity)
            if offsets[item] is not None:
                break
        else:
            return None
    groups = []
    for offsets in taken:
        inside = [(item, offset) for item, offset in enumerate(offsets) if offset is not None]
        groups.append(([item for item, _ in inside], [offset for _, offset in inside]))
    return groups
