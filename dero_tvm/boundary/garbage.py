"""How often Python looks for cycles of objects.

Python looks for them whenever a thousand objects more are there than before.  Importing TVM and
compiling make hundreds of thousands that stay until the end: up to a fifth of the time went there.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 50_000  # objects that are made between two looks at the youngest


def collect_seldom() -> tuple[int, int, int]:
    """Look seldom from now on, unless nobody looks at all; returns how often it was before."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _YOUNG) if before[0] else 0, *before[1:])
    return before


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """The same for a while."""
    before = collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
