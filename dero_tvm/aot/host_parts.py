"""Into which functions the host's program of a large network is split.

Some of LLVM's passes take time that grows faster than the function they work on.  A network of many
stages is therefore run by several functions that LLVM keeps apart, as it then keeps the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

LARGEST = 32
"""Stages in one function at most, unless a single step has more."""


def parts(stages: Sequence[int]) -> list[range]:
    """The steps of each part, in order, for steps of so many `stages`; none for a small network."""
    if sum(stages) <= LARGEST:
        return []
    found: list[range] = []
    held = 0
    for step, count in enumerate(stages):
        if found and held + count <= LARGEST:
            found[-1] = range(found[-1].start, step + 1)
            held += count
        else:
            found.append(range(step, step + 1))
            held = count
    return found
