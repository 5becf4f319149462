"""What a run of generated code yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .stack_bound import StackBound

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class Profile:
    """What each step of each inference took, in units of a counter's tick.

    `operator_ticks` has the same of `operators`, those of steps that run several; together they
    take what their step does, but for a few instructions at its end.
    """

    ticks: tuple[tuple[int, ...], ...]  # of each inference the steps in order of execution
    unit: str  # "instructions", or "ns" of the clock on the wall
    resolution: int  # units in a tick: a figure of one inference is off by less than that
    operators: tuple[str, ...] = ()  # by the tensors that they make
    operator_ticks: tuple[tuple[int, ...], ...] = ()

    def means(self) -> tuple[float, ...]:
        """Units of each step, the mean over all inferences."""
        return self._means(self.ticks)

    def operator_means(self) -> dict[str, float]:
        """Units of each of `operators`, the mean over all inferences."""
        return dict(zip(self.operators, self._means(self.operator_ticks)))

    def _means(self, ticks: tuple[tuple[int, ...], ...]) -> tuple[float, ...]:
        return tuple(self.resolution * sum(one) / len(ticks) for one in zip(*ticks, strict=True))


@dataclass(frozen=True, eq=False)
class RunResult:
    """Outputs and measurements of N inferences.

    Sections are sums over "text", "rodata", "data" and "bss" in bytes; both dicts are empty where
    object files are not ELF.  The arenas belong to the test program, so `model_sections` has the
    model's own static variables alone, and `image_sections` has all: program, C library, arenas
    with their guards, stacks.
    """

    outputs: list[dict[str, Tensor]]  # one dict an inference, by name of the output
    seconds: float  # of the whole run by the clock on the wall, without compiling
    instructions: list[int] | None = None  # of each inference; None where they are not counted
    stack_bytes: int | None = None  # deepest over all inferences; None where it is not measured
    model_sections: dict[str, int] = field(default_factory=dict)
    image_sections: dict[str, int] = field(default_factory=dict)
    guard_report: str = ""  # where something was written around an arena
    profile: Profile | None = None  # of the steps, if it was asked for
    stack_bound: StackBound | None = None  # the most that any inference takes, if it is known
    microseconds: list[int] | None = None  # of each inference by the device's clock, if it has one

    @property
    def guard_ok(self) -> bool:
        """Whether nothing was written around an arena."""
        return not self.guard_report


def equal_outputs(a: RunResult, b: RunResult) -> bool:
    """Whether two runs have the same outputs, bit by bit."""
    return len(a.outputs) == len(b.outputs) and all(
        x.keys() == y.keys() and all(np.array_equal(x[k], y[k], equal_nan=True) for k in x)
        for x, y in zip(a.outputs, b.outputs)
    )
