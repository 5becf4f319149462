"""Which point of a frontier a budget, and a bound on multiply-accumulates, ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .frontier import WindowPoint


@dataclass(frozen=True)
class BudgetAnswer:
    """The point with the fewest multiply-accumulates that fits; None if none does.

    `least` is the one with the fewest bytes within the bound on multiply-accumulates, `smaller` the
    first beyond the bound that fits the budget.
    """

    point: WindowPoint | None
    least: WindowPoint
    smaller: WindowPoint | None


def within(
    points: Sequence[WindowPoint], budget: int, macs: int, max_recompute: float | None = None
) -> BudgetAnswer:
    """The answer to `budget` bytes, of a frontier that begins with the fewest of all `macs`.

    `max_recompute` bounds multiply-accumulates, as a multiple of `macs`.
    """
    most = float("inf") if max_recompute is None else max_recompute * macs
    allowed = [point for point in points if point.macs <= most]
    fitting = [point for point in points if point.live_bytes <= budget]
    chosen = next((point for point in allowed if point.live_bytes <= budget), None)
    least = min(allowed, key=lambda point: point.live_bytes)
    beyond = next((point for point in fitting if point.macs > most), None)
    return BudgetAnswer(chosen, least, beyond)
