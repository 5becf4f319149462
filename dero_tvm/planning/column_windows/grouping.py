"""Which operations are computed together in windows of columns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Consecutive operations; inside, there are only as many columns as a window needs."""

    first: int  # index of the first operation in the network's order of streamed operations
    last: int  # index of the last one, inclusive
    width: int  # columns of the last operation's result per window; its whole width = no windows
    rows: int  # rows of the last operation's result per pass


Grouping = tuple[Group, ...]
