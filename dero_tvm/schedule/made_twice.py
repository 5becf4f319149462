"""How much of a network's work is done again to need less memory, and its words."""

from __future__ import annotations

from .column_groups import extra_macs
from .network import Network


def recompute_ratio(network: Network) -> float:
    """Multiply-accumulates as a multiple of those with nothing made twice."""
    return ratio_of(network.macs, extra_macs(network))


def ratio_of(macs: int, made_again: int) -> float:
    """The ratio of `macs` to those of them that are not `made_again`."""
    return macs / (macs - made_again) if macs > made_again else 1.0


def described_ratio(ratio: float) -> str:
    """The ratio as messages have it: ``1.07x multiply-accumulates``; never 1.00x but of none."""
    digits = 2 if ratio == 1 or round(ratio, 2) != 1 else 4
    return f"{ratio:.{digits}f}x multiply-accumulates"
