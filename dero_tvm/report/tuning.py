"""What measuring kernels changed, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReportedChoice:
    """An operation whose kernel is not the default."""

    name: str
    operation: str  # operator and shapes
    default: str  # kernel
    default_cost: int
    chosen: str  # kernel
    chosen_cost: int


@dataclass(frozen=True)
class ReportedTuning:
    """What kernels took; a cost is that of the whole operation."""

    measured: int  # kernels, in this run
    known: int  # kernels, from the cache
    unit: str  # of costs: instructions, or ns
    cache: str  # path
    choices: tuple[ReportedChoice, ...]

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> ReportedTuning:
        """From JSON data; KeyError or TypeError if it is none."""
        choices = tuple(ReportedChoice(**choice) for choice in data["choices"])
        return ReportedTuning(**{**data, "choices": choices})
