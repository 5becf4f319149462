"""Which operations run together on a window of columns: what a plan tells the code generator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Operations that run together on a window of columns.

    They make `rows` rows of the last one's result in a pass, and `width` columns of them in a
    window.  What they make for one another exists for one window only; what two windows need, or
    two passes, is made twice.  With `keeps_columns` what the next window needs stays, of all rows
    of the pass; two passes make things twice all the same.
    """

    first: int  # index of the first operation in the network's order of streamed operations
    last: int  # index of the last one, inclusive
    width: int  # columns of the last operation's result in a window; its whole width: no windows
    rows: int  # rows of the last operation's result in a pass
    keeps_columns: bool = False

    @property
    def operations(self) -> range:
        """The indices of its operations."""
        return range(self.first, self.last + 1)


Grouping = tuple[Group, ...]
