"""What a run measured of the steps and operators that a report describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Means over some inferences; `unit` is "instructions", or "ns" of the clock on the wall."""

    device: str
    unit: str
    inferences: int
    steps: tuple[float, ...]  # in order of execution
    operators: Mapping[str, float]  # by name, those of steps that run several

    @property
    def column(self) -> str:
        """What a table calls it."""
        return "µs" if self.unit == "ns" else self.unit

    def shown(self, value: float) -> str:
        """A figure in `column`."""
        return f"{value / 1000:,.1f}" if self.unit == "ns" else f"{value:,.0f}"
