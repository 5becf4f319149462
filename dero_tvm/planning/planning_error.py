"""What can go wrong in planning."""

from __future__ import annotations


class PlanningError(ValueError):
    """Common base of everything that memory planning raises."""


class ProblemError(PlanningError):
    """The planning problem contradicts itself: an unknown buffer, a read before any write, ..."""


class PlanError(PlanningError):
    """A plan breaks a rule; the message names the buffers and the step."""


class DoesNotFit(PlanningError):
    """No plan was found that fits the regions.

    `excess` is by how many bytes the least requirement known exceeds the capacity, and `step` is
    the name of the step that requires most.
    """

    def __init__(self, message: str, *, required: int, capacity: int, excess: int, step: str):
        super().__init__(message)
        self.required = required
        self.capacity = capacity
        self.excess = excess
        self.step = step
