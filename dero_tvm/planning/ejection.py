"""Packing within a limit by ejection: put a buffer where it costs least, and take out the rest.

Where no free place is left for a buffer, it takes one that others hold, and those must find
another: chains of such moves carry a misfit along a network to where there is room for it.

    address                                   limit
      ^ - - - - - - - - - - - - - - - - - - - - -
      |  +-----+             +-----+
      |  |  a  |    ?        |  a  |  +-----+         d replaces b and c,
      |  +--+--+--+----+ ->  +-----+  |  d  |         which look for a place
      |     |  b  | c  |              |     |         below a and above d
      |     +-----+----+              +-----+
      +-----------------------> time

Two things keep a group of buffers from ejecting one another for ever: what a buffer costs grows
each time it is taken out (Morris's breakout method), and for some moves it does not go back to the
address it had (tabu search).
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate

from .budget import Budget
from .packing import Conflicting, lowest_address

SEED = 1
TENURE = 10  # moves for which an address is tabu, at least; at most twice as many
TABU_COST = 1000.0
COMPARISONS_PER_SECOND = 5_000_000  # of buffers
COMPARISONS_PER_MOVE = 120  # what a move costs besides, in comparisons
_ROUNDING = 1e-6  # of costs, which are 1 and more, added up in another order


def eject(
    packing: Conflicting,
    limit: int,
    turns: Sequence[int],
    budget: Budget,
    moves: int,
    seed: int = SEED,
) -> list[int] | None:
    """Addresses that keep to `limit`, or None after `moves` placements without success, or when
    the budget is spent.

    Begins with the buffers placed in turn where there is room.
    """
    chance = random.Random(seed)
    sizes = packing.sizes
    if max(sizes) > limit:
        return None
    at: list[int | None] = [None] * len(packing)
    waiting: list[int] = []
    for item in turns:
        at[item] = lowest_address(packing, item, at, limit)
        if at[item] is None:
            waiting.append(item)
    weight = [1.0] * len(packing)
    scale = max(sizes)
    cost_of = [1 + size / scale for size in sizes]  # of taking it out: weight and size
    tabu: list[dict[int, int]] = [{} for _ in sizes]
    for move in range(moves):
        if not waiting:
            return [offset for offset in at if offset is not None]
        if budget.expired():
            break
        item = max(waiting, key=lambda i: (sizes[i] * weight[i], i))
        if chance.random() < 0.2:
            item = chance.choice(waiting)
        waiting.remove(item)
        placed = [
            (j, place - above, place + below)
            for j, above, below in packing.neighbours[item]
            if (place := at[j]) is not None
        ]
        candidates = _candidates(packing, item, placed, limit)
        comparisons = len(candidates) * len(packing.neighbours[item])
        budget.spend(comparisons + COMPARISONS_PER_MOVE, COMPARISONS_PER_SECOND)
        best_cost = None
        best: list[tuple[int, list[int]]] = []
        dear = {address for address, until in tabu[item].items() if until > move}
        for address in _cheapest(candidates, placed, cost_of, dear):
            hit = [j for j, low, high in placed if low < address < high]
            cost = sum([cost_of[j] for j in hit]) + TABU_COST * (address in dear)
            if best_cost is None or cost < best_cost:
                best_cost, best = cost, [(address, hit)]
            elif cost == best_cost:
                best.append((address, hit))
        address, hit = chance.choice(best)
        at[item] = address
        for j in hit:
            tabu[j][at[j] or 0] = move + TENURE + chance.randrange(TENURE)
            at[j] = None
            weight[j] += 0.1 + 0.9 * (sizes[j] / scale)
            cost_of[j] = weight[j] * (1 + sizes[j] / scale)
            waiting.append(j)
        if hit:
            weight[item] += 0.2
            cost_of[item] = weight[item] * (1 + sizes[item] / scale)
    return None


def _cheapest(
    candidates: Sequence[int],
    placed: Sequence[tuple[int, int, int]],
    cost_of: Sequence[float],
    dear: Collection[int],
) -> list[int]:
    """The `candidates` that cost least, and those that rounding lets look as if they did not.

    What lies at each is added up along the addresses, so that it is not looked at for each anew.
    """
    changes = [0.0] * (len(candidates) + 1)
    for item, low, high in placed:
        first, end = bisect_right(candidates, low), bisect_left(candidates, high)
        if first < end:
            changes[first] += cost_of[item]
            changes[end] -= cost_of[item]
    costs = list(accumulate(changes[:-1]))
    for number, address in enumerate(candidates):
        if address in dear:
            costs[number] += TABU_COST
    most = min(costs) + _ROUNDING
    return [address for address, cost in zip(candidates, costs) if cost <= most]


def _candidates(
    packing: Conflicting, item: int, placed: Sequence[tuple[int, int, int]], limit: int
) -> list[int]:
    """Addresses where the item touches an end of the arena or a neighbour.

    `placed` are neighbours with the addresses between which they bar the item.
    """
    alignment = packing.alignments[item]
    highest = limit - packing.sizes[item]
    found = {0, highest // alignment * alignment}
    for _, low, high in placed:
        found.add(-(-high // alignment) * alignment)
        found.add(low // alignment * alignment)
    return sorted(address for address in found if 0 <= address <= highest)
