"""Leaving TVM's importers in good order when an import fails."""

from __future__ import annotations

import contextlib

from tvm import relax


def abandon(builder: relax.BlockBuilder) -> None:
    """End the block that an interrupted import leaves open in its builder.

    TVM prints a warning for a builder that dies with a block open, and a user who is told in one
    line what is wrong with a model should not have to make sense of it.
    """
    with contextlib.suppress(Exception):  # nothing open: the import failed before it began
        builder._end_block()
