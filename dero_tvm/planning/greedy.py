"""A portfolio of orders in which to place buffers one by one.

On the graphs of real networks one of them nearly always meets the lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .packing import Packing, place_in_turn


def in_order(count: int, key: Callable[[int], tuple[int, ...]]) -> list[int]:
    """The items 0 to `count` - 1 sorted by `key`, and by number where it is equal."""
    return sorted(range(count), key=lambda item: (key(item), item))


def turns(packing: Packing) -> Iterator[tuple[str, list[int]]]:
    """Orders of placement, each with a name, the most promising first.

    Those that begin with the most loaded moment pack the peak from address 0 without holes.
    Those that go backwards in time put an output before (so below) the input it overlaps.
    """
    size, start, end = packing.sizes, packing.starts, packing.ends
    loads = packing.loads()
    life = [b - a for a, b in zip(start, end, strict=True)]
    degree = [sum(size[j] for j, _, _ in near) for near in packing.neighbours]
    keys: dict[str, Callable[[int], tuple[int, ...]]] = {
        "size": lambda i: (-size[i], -life[i], start[i]),
        "load, backwards": lambda i: (-loads[i], -start[i], -size[i]),
        "load, size": lambda i: (-loads[i], -size[i], start[i]),
        "load, life": lambda i: (-loads[i], -life[i], -size[i]),
        "area": lambda i: (-size[i] * life[i], -size[i], start[i]),
        "life": lambda i: (-life[i], -size[i], start[i]),
        "conflicts": lambda i: (-degree[i], -size[i], start[i]),
        "backwards": lambda i: (-start[i], -size[i], -end[i]),
        "forwards": lambda i: (start[i], -size[i], -end[i]),
        "backwards by end": lambda i: (-end[i], -size[i], -start[i]),
    }
    for name, key in keys.items():
        yield name, in_order(len(packing), key)


def best_greedy(packing: Packing, target: int) -> tuple[list[int], list[int], int]:
    """The least placement of the portfolio: its order, its addresses, its height.

    Stops at the first of height `target` or less.
    """
    best: tuple[list[int], list[int], int] | None = None
    for _, order in turns(packing):
        offsets = place_in_turn(packing, order)
        height = packing.height(offsets)
        if best is None or height < best[2]:
            best = (order, offsets, height)
        if height <= target:
            break
    assert best is not None
    return best
