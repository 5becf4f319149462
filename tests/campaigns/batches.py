"""The seeds of a campaign, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator


def batches(first: int, count: int, size: int) -> Iterator[range]:
    """`count` seeds from `first` on, at most `size` in each range."""
    end = first + count
    for begin in range(first, end, size):
        yield range(begin, min(begin + size, end))
