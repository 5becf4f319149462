"""Each step by operator: rows, bytes, multiply-accumulates, flash, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .data import Report
from .operators import ReportedOperator
from .timeline import ReportedStep


@dataclass(frozen=True)
class OperatorPart:
    """An operator of a step."""

    operator: ReportedOperator
    held: int  # bytes of its result that are in the arena at once, at most; 0: it lies elsewhere
    measured: float | None  # in the unit of `Report.measured`


@dataclass(frozen=True)
class StepPart:
    """A step and its operators, sums over them, and what the step needs besides."""

    number: int
    step: ReportedStep
    operators: tuple[OperatorPart, ...]
    measured: float | None

    @property
    def weights(self) -> int:
        """Bytes in flash."""
        return sum(part.operator.weights for part in self.operators)

    @property
    def tables(self) -> int:
        """Bytes in flash of what says where rows lie and in which order they are made."""
        return sum(part.operator.tables for part in self.operators) + self.step.call_bytes

    @property
    def flash_reads(self) -> int:
        """Bytes that an inference reads from flash, at least."""
        return sum(part.operator.flash_reads for part in self.operators) + self.step.call_bytes

    @property
    def layers(self) -> tuple[str, ...]:
        """The model's layers of a single operator; several have them beside each."""
        return self.step.layers if len(self.operators) < 2 else ()

    @property
    def summary(self) -> str:
        """Its operator, or how many there are."""
        count = len(self.operators)
        return self.step.summary if count < 2 else f"{count} operators"


def breakdown(report: Report) -> Iterator[StepPart]:
    """The steps of the compiled network in order of execution."""
    held = _held(report)
    by_step: dict[int, list[ReportedOperator]] = {}
    for operator in report.operators:
        by_step.setdefault(operator.step, []).append(operator)
    measured = report.measured
    for number, step in enumerate(report.steps):
        total = measured.steps[number] if measured else None
        operators = by_step.get(number, [])
        alone = sum(operator.runs for operator in operators) == 1
        parts = []
        for operator in operators:
            taken = measured.operators.get(operator.name) if measured else None
            if alone and operator.runs:
                taken = total
            size = min(held.get(operator.name, 0), operator.bytes)
            parts.append(OperatorPart(operator, size, taken))
        yield StepPart(number, step, tuple(parts), total)


def _held(report: Report) -> dict[str, int]:
    """Tensor -> the most bytes of its buffer that are alive at once."""
    return {
        tensor.split()[0]: buffer.size for buffer in report.buffers for tensor in buffer.tensors
    }
