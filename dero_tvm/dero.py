"""The choices of ``--dero``."""

from __future__ import annotations

import enum

from .errors import UserError


class Dero(enum.Enum):
    """How far to go below one buffer a tensor."""

    NONE = "none"  # every tensor whole
    ACCUMULATE = "accumulate"  # residuals accumulated in place, concatenations written in place
    STREAM = "stream"  # and outputs over dying inputs, and whole blocks row by row


BARE = Dero.ACCUMULATE
"""What ``--dero`` without a value means, and the default of `dero_tvm.compile`."""


def parse_dero(value: str | Dero) -> Dero:
    """The choice of that name; UserError if there is none."""
    try:
        return Dero(value)
    except ValueError:
        known = ", ".join(d.value for d in Dero)
        raise UserError(f"--dero {value}: not a way to save memory; use one of {known}") from None
