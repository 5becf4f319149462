"""The choices of ``--dero``."""

from __future__ import annotations

import enum

from ..boundary.errors import UserError


class Dero(enum.Enum):
    """How far to go below one buffer a tensor; each choice includes those before it."""

    NONE = "none"  # every tensor whole
    ACCUMULATE = "accumulate"  # residuals accumulated in place, concatenations written in place
    OVERLAP = "overlap"  # outputs over the rows of inputs that are no longer needed
    STREAM = "stream"  # whole blocks row by row, with rings of rows between their operators

    @property
    def included(self) -> tuple[Dero, ...]:
        """The choices up to this one, fastest first."""
        choices = tuple(Dero)
        return choices[: choices.index(self) + 1]


BARE = Dero.STREAM
"""What ``--dero`` without a value means, and the default of `dero_tvm.compile`."""


def parse_dero(value: str | Dero) -> Dero:
    """The choice of that name; UserError if there is none."""
    try:
        return Dero(value)
    except ValueError:
        known = ", ".join(d.value for d in Dero)
        raise UserError(f"--dero {value}: not a way to save memory; use one of {known}") from None
