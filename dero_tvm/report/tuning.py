"""What measuring kernels changed, as data."""

from __future__ import annotations

from dataclasses import dataclass


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
class ReportedPlan:
    """A plan that fits the memory budget, and what an inference by it takes."""

    label: str
    arena_bytes: int
    cost: int
    unit: str  # of the cost: cycles, or instructions


@dataclass(frozen=True)
class ReportedTuning:
    """What kernels took; a cost is that of the whole operation."""

    measured: int  # kernels, in this run
    known: int  # kernels, from the cache
    unit: str  # of costs: cycles, instructions, or ns; of both where the cache has both
    judge: str  # what was measured in this run, in words; "" if nothing was
    cache: str  # path
    choices: tuple[ReportedChoice, ...]
    plans: tuple[ReportedPlan, ...] = ()  # that were measured too
