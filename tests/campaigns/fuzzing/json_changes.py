"""JSON data with one part changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from tests.campaigns.fuzzing.hostile_values import FLOATS, NAMES, SIZES

OTHERS = [None, True, [], {}, [1], {"a": 1}, *NAMES, *SIZES, *FLOATS]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each part of JSON data."""
    if not isinstance(value, (dict, list)):
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from places(part, (*path, key))


def changed(rng: random.Random, data: dict[str, Any]) -> dict[str, Any]:
    """`data` with one part taken out, or replaced by something else."""
    result: Any = copy.deepcopy(data)
    *path, last = rng.choice(list(places(data)))
    parent = result
    for key in path:
        parent = parent[key]
    if rng.random() < 0.2:
        del parent[last]
    else:
        parent[last] = rng.choice(OTHERS)
    return result
