"""Leaving TVM's block builders in good order when what fills them fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tvm import relax


def abandon(builder: relax.BlockBuilder) -> None:
    """End the block that an interrupted construction leaves open in its builder.

    TVM prints a warning for a builder that dies with a block open, and a user who is told in one
    line what is wrong with a model should not have to make sense of it.
    """
    with contextlib.suppress(Exception):  # nothing open: it failed before it began
        builder._end_block()


@contextlib.contextmanager
def abandoned_on_failure(builder: relax.BlockBuilder) -> Iterator[None]:
    """`abandon` if what is built in this block fails."""
    try:
        yield
    except BaseException:
        abandon(builder)
        raise
