"""How much work is done again to need less memory, and how messages have it."""

from __future__ import annotations


def ratio_of(macs: int, made_again: int) -> float:
    """The ratio of multiply-accumulates to those of them that are not `made_again`."""
    return macs / (macs - made_again) if macs > made_again else 1.0


def described_ratio(ratio: float) -> str:
    """The ratio as messages have it: ``1.07x multiply-accumulates``; never 1.00x but of none."""
    digits = 2 if ratio == 1 or round(ratio, 2) != 1 else 4
    return f"{ratio:.{digits}f}x multiply-accumulates"
