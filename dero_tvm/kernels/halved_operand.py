"""Which operand of an addition comes first in a core's kernel."""

from __future__ import annotations

from relax_passes.operators import Signature

_HALF = (1 << 30, 0)  # the factor 1/2, as multiplier and shift


def is_halved(s: Signature, index: int) -> bool:
    """Whether an operand's factor is 1/2, so that one shift to the left less does it."""
    return (s["multipliers"][index], s["shifts"][index]) == _HALF and s["left_shift"] > 0


def halved_first(s: Signature) -> tuple[int, int]:
    """The operands' indices in the kernel's order: as they are, or turned.

    Of the two operands of an addition one mostly has the factor 1/2: it goes first, so that texts
    are equal. Those of a difference stay.
    """
    turned = s.operator == "dero.add" and is_halved(s, 1) and not is_halved(s, 0)
    return (1, 0) if turned else (0, 1)
