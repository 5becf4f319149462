"""What each residual join costs, and why it was treated otherwise than the one before it.

A join costs what the most bytes alive would be less if nothing waited for it: no tensor kept for
it alone, and, where it was left alone, its result written over an operand.  Where the peak lies
elsewhere that is nothing, and leaving the join alone was right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .data import Report, ReportedResidual
from .layer_names import brief
from .timeline import Column, Timeline

LEFT_ALONE = "left alone"


@dataclass(frozen=True)
class JoinStory:
    """A join with the bytes that it adds to the peak, and sentences that say why."""

    residual: ReportedResidual
    cost: int  # bytes
    consequence: str
    contrast: str  # "" if the join before it was treated alike

    @property
    def harmless(self) -> bool:
        """Left alone, which costs nothing."""
        return self.residual.action == LEFT_ALONE and self.cost == 0


@cache
def _counted(count: int) -> str:
    return f"{count:,} bytes"


def join_stories(report: Report) -> Iterator[JoinStory]:
    """One for each of `report.residuals`, in their order."""
    timeline = report.timeline
    columns = list(timeline.columns())
    heights = [sum(layer.own for layer in column.layers) for column in columns]
    peak = max(heights, default=0)
    before: ReportedResidual | None = None
    for residual in report.residuals:
        held = [_held(timeline, column, residual, report) for column in columns]
        cost = peak - max((h - own for h, own in zip(heights, held)), default=0)
        most = max((h for h, own in zip(heights, held) if own), default=0)
        yield JoinStory(
            residual,
            cost,
            _consequence(cost, most, peak),
            _contrast(residual, before, report),
        )
        before = residual


def _held(timeline: Timeline, column: Column, residual: ReportedResidual, report: Report) -> int:
    """Bytes of a column that are there because of one join."""
    own = 0
    for layer in column.layers:
        buffer = timeline.buffers[layer.index]
        waits = layer.role == "shortcut" and residual.join in buffer.shortcut_of
        if waits or _second_result(timeline, layer.index, column.step, residual):
            own += layer.own
    return own


def _second_result(timeline: Timeline, index: int, step: int, residual: ReportedResidual) -> bool:
    """Whether a buffer is the result of a join that was left alone, as it is being made."""
    if residual.action != LEFT_ALONE:
        return False
    buffer = timeline.buffers[index]
    made = any(tensor.split()[0] == residual.join for tensor in buffer.tensors)
    return made and buffer.first_step == step


def _consequence(cost: int, most: int, peak: int) -> str:
    if cost > 0:
        return f"without it the peak of {_counted(peak)} would be {_counted(cost)} smaller"
    if not most:
        return "no tensor waits for it as a whole"
    if most == peak:
        return "it alone costs nothing: the peak is as high elsewhere"
    return (
        f"it costs nothing: with what is kept for it {_counted(most)} are alive, "
        f"{_counted(peak - most)} below the peak"
    )


def _contrast(residual: ReportedResidual, before: ReportedResidual | None, report: Report) -> str:
    if before is None or before.action == residual.action:
        return ""
    layer = brief(report.layer(before.join))
    name = f"{before.join} ({layer})" if layer else before.join
    return f"otherwise than {name}, which is {before.action}: {before.reason}"
