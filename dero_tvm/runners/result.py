"""What a run of generated code yields, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..boundary.errors import UserError

if TYPE_CHECKING:
    from .stack_bound import StackBound

Tensor = npt.NDArray[Any]


class RunError(UserError):
    """The generated code did not compile, failed, crashed, or ran longer than it may.

    `details` has all that the tool printed, of which the message has one line or none.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Profile:
    """What each step of each inference took, in units of a counter's tick."""

    ticks: tuple[tuple[int, ...], ...]  # of each inference the steps in order of execution
    unit: str  # "instructions", or "ns" of the clock on the wall
    resolution: int  # units in a tick: a figure of one inference is off by less than that

    def means(self) -> tuple[float, ...]:
        """Units of each step, the mean over all inferences."""
        return tuple(
            self.resolution * sum(step) / len(self.ticks) for step in zip(*self.ticks, strict=True)
        )


@dataclass(frozen=True, eq=False)
class RunResult:
    """Outputs and measurements of N inferences.

    Sections are sums over "text", "rodata", "data" and "bss" in bytes; both dicts are empty where
    object files are not ELF.  The arenas belong to the test program, so `model_sections` has the
    model's own static variables alone, and `image_sections` has all: program, C library, arenas
    with their guards, stacks.
    """

    outputs: list[dict[str, Tensor]]  # one dict an inference, by name of the output
    instructions: list[int] | None  # of each inference; None where they are not counted
    stack_bytes: int | None  # deepest over all inferences; None where it is not measured
    model_sections: dict[str, int]
    image_sections: dict[str, int]
    guard_ok: bool  # nothing was written around an arena
    guard_report: str  # where something was, or ""
    seconds: float  # of the whole run by the clock on the wall, without compiling
    profile: Profile | None = None  # of the steps, if it was asked for
    stack_bound: StackBound | None = None  # the most that any inference takes, if it is known
    microseconds: list[int] | None = None  # of each inference by the device's clock, if it has one


def equal_outputs(a: RunResult, b: RunResult) -> bool:
    """Whether two runs have the same outputs, bit by bit."""
    return len(a.outputs) == len(b.outputs) and all(
        x.keys() == y.keys() and all(np.array_equal(x[k], y[k], equal_nan=True) for k in x)
        for x, y in zip(a.outputs, b.outputs)
    )
