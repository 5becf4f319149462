"""What a compilation reports.  All sizes are in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class LiveBuffer:
    """A buffer that is alive at the peak."""

    label: str
    kind: str  # input, output, intermediate, ring, scratch
    size: int
    region: str
    offset: int


@dataclass(frozen=True)
class ReportedBuffer:
    """Where a buffer lies, and during which steps of the order."""

    name: str
    label: str
    kind: str
    size: int
    region: str  # "" if it lies in the caller's memory
    offset: int
    first_step: int  # -1: alive before the first step
    last_step: int


@dataclass(frozen=True)
class ReportedStep:
    """One step of execution: an operator, or a cascade of them."""

    name: str
    operators: tuple[str, ...]
    output: str  # shape and type
    live_bytes: int  # of all buffers alive while it runs, shared bytes counted once
    macs: int


@dataclass(frozen=True)
class ReportedResidual:
    """A residual join and what was done to it."""

    join: str
    operator: str
    shortcut: str
    bytes: int  # of the tensor it keeps alive
    action: str
    reason: str


@dataclass(frozen=True)
class ReportedShortcut:
    """A shortcut over one convolution, as reorganized networks have them, and what became of it."""

    join: str
    action: str  # "fused" or "left alone"
    reason: str


@dataclass(frozen=True)
class Report:
    """The result of one compilation.

    `whole_bytes` is the arena with every tensor whole and operators in written order, as
    interpreters plan it.  `plain_bytes` is the same measure of the plain network, residuals
    removed: a different function, given as a yardstick.
    """

    model: str
    target: str
    dero: str
    chosen: str  # what of it was used: what does not make the arena smaller is left out
    arena_bytes: int
    whole_bytes: int
    plain_bytes: int
    plain_refusals: tuple[str, ...]  # residuals that the plain network still has, with the reason
    regions: Mapping[str, int]
    split: Mapping[str, int]  # bytes alive at the peak, by kind of buffer; shared ones once
    peak_bytes: int  # their sum
    scratch_bytes: int  # largest rings and scratch of one step
    lower_bound: int
    order_proof: str
    placement_proof: str
    peak_step: str
    peak_buffers: tuple[LiveBuffer, ...]
    steps: tuple[ReportedStep, ...]
    buffers: tuple[ReportedBuffer, ...]
    residuals: tuple[ReportedResidual, ...]
    notes: tuple[str, ...]
    macs: int
    constants_bytes: int
    memory_budget: int | None = None  # what the user allowed the arena to have
    shortcuts: tuple[ReportedShortcut, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON data."""
        return asdict(self)

    def to_json(self) -> str:
        """`to_dict` as text, with a final newline."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Report:
        """The report that `to_dict` wrote; KeyError, TypeError or ValueError if it is none."""
        values = dict(data)
        values["steps"] = tuple(
            ReportedStep(**{**s, "operators": tuple(s["operators"])}) for s in data["steps"]
        )
        values["peak_buffers"] = tuple(LiveBuffer(**b) for b in data["peak_buffers"])
        values["buffers"] = tuple(ReportedBuffer(**b) for b in data["buffers"])
        values["residuals"] = tuple(ReportedResidual(**r) for r in data["residuals"])
        values["shortcuts"] = tuple(ReportedShortcut(**s) for s in data.get("shortcuts", ()))
        values["notes"] = tuple(data["notes"])
        values["plain_refusals"] = tuple(data["plain_refusals"])
        report = Report(**values)
        for entry in (report, *report.steps, *report.peak_buffers, *report.buffers):
            _check_types(entry)
        for entry in (*report.residuals, *report.shortcuts):
            _check_types(entry)
        return report


def _check_types(entry: Any) -> None:
    """Raises TypeError if a number or text of `entry` is something else."""
    for field in fields(entry):
        value, kind = getattr(entry, field.name), {"int": int, "str": str}.get(str(field.type))
        if kind is not None and not isinstance(value, kind):
            raise TypeError(f"{field.name} is {value!r}, not {field.type}")
