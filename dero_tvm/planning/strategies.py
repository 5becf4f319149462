"""Strategies for the exact search, and how long to follow each before trying another.

A wrong answer near the root costs more questions than there is time for; with another preference
it is not given.  So the search is restarted often, with preferences that mix size, life and load
in seeded random proportions, for numbers of questions in Luby's sequence 1 1 2 1 1 2 4 ... (Luby,
Sinclair and Zuckerman 1993: within a logarithmic factor of the best sequence there is).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from .packing import Packing
from .skyline import Strategy

SEED = 2
TIES = ("lowest", "lowest", "slack", "first")


def strategies(packing: Packing) -> Iterator[Strategy]:
    """Endlessly many strategies, the most promising first."""
    items = range(len(packing))
    size = packing.sizes
    life = [b - a for a, b in zip(packing.starts, packing.ends, strict=True)]
    loads = packing.loads()
    by_size = tuple(sorted(items, key=lambda i: (-size[i], -life[i], i)))
    by_load = tuple(sorted(items, key=lambda i: (-loads[i], -size[i] * life[i], -life[i], i)))
    yield Strategy(by_size, "lowest")
    yield Strategy(by_load, "lowest")
    yield Strategy(by_size, "slack")
    yield Strategy(by_size, "first")
    chance = random.Random(SEED)
    while True:
        size_power = chance.choice((0.5, 1))
        life_power = chance.choice((0.5, 1))
        load_power = chance.choice((0, 2))
        noise = chance.choice((0.05, 0.2, 0.5, 0.8))
        weights = [
            size[i] ** size_power
            * life[i] ** life_power
            * (loads[i] / max(loads)) ** load_power
            * (1 + noise * chance.uniform(-1, 1))
            for i in items
        ]
        preference = tuple(sorted(items, key=lambda i: (-weights[i], i)))
        yield Strategy(preference, chance.choice(TIES))


def luby() -> Iterator[int]:
    """1 1 2 1 1 2 4 1 1 2 1 1 2 4 8 ..."""
    count = 1
    while True:
        index = count
        while (index + 1) & index:  # not one below a power of two: fall back into the sequence
            index -= (1 << (index.bit_length() - 1)) - 1
        yield (index + 1) // 2
        count += 1
