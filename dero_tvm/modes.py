"""How far the compiler may go to save memory."""

from __future__ import annotations

import enum

from .errors import UserError


class Dero(enum.Enum):
    """How far to go below one buffer a tensor; each mode includes those before it."""

    NONE = "none"  # every tensor whole
    ACCUMULATE = "accumulate"  # residuals accumulated in place, concatenations written in place
    OVERLAP = "overlap"  # outputs over the rows of inputs that are no longer needed
    STREAM = "stream"  # whole blocks row by row, with rings of rows between their operators

    @property
    def included(self) -> tuple[Dero, ...]:
        """The modes up to this one, the least saving and fastest first."""
        modes = tuple(Dero)
        return modes[: modes.index(self) + 1]


def parse_mode(value: str | Dero) -> Dero:
    """The mode of a ``--dero`` value.

    Raises UserError that names the modes if it is none of them.
    """
    try:
        return Dero(value)
    except ValueError:
        known = ", ".join(mode.value for mode in Dero)
        raise UserError(
            f"--dero {value}: not a way to rewrite residuals (one of {known})"
        ) from None
