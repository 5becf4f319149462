"""The trade-off between memory and time of one network's plans.  All sizes are in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from dero_tvm.boundary.structured import structured
from dero_tvm.schedule.recompute_ratio import ratio_of


@dataclass(frozen=True)
class SweepPoint:
    """One plan of the network.

    `instructions` and `code_bytes` are None where nothing was run.
    """

    label: str
    mode: str  # what --dero would have to be, at least
    arena_bytes: int
    streamed_operators: int  # that run inside cascades, row by row
    kernel_calls: int  # of row kernels, per inference
    instructions: int | None = None  # per inference
    code_bytes: int | None = None  # of machine code, constants excepted
    macs_again: int = 0  # multiply-accumulates that are made a second time
    pareto: bool = False  # no other point is as small and as fast, and better in one of them

    @property
    def cost(self) -> int:
        """What stands for time: instructions, or calls of kernels where nothing was run."""
        return self.kernel_calls if self.instructions is None else self.instructions


@dataclass(frozen=True)
class MarkedBoard:
    """A board, and the bytes of its first RAM region that are left for an arena."""

    name: str
    ram_free: int


@dataclass(frozen=True)
class Sweep:
    """The points of one network, the fastest way of laying it out first."""

    model: str
    target: str
    device: str  # where instructions were counted; "" if nowhere
    note: str  # why nothing was run, or ""
    macs: int  # per inference, if nothing is made twice
    points: tuple[SweepPoint, ...]
    boards: tuple[MarkedBoard, ...] = ()  # to be marked, those with least RAM first

    def first_on(self, board: MarkedBoard) -> SweepPoint | None:
        """The fastest of the plans that a board has room for."""
        fitting = [point for point in self.points if point.arena_bytes <= board.ram_free]
        return min(fitting, key=lambda point: point.cost, default=None)

    def ratio(self, point: SweepPoint) -> float:
        """Multiply-accumulates of a plan as a multiple of those with nothing made twice."""
        return ratio_of(self.macs + point.macs_again, point.macs_again)

    def to_json(self) -> str:
        """The sweep as JSON text, with a final newline."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Sweep:
        """The sweep that `to_json` wrote; TypeError if it is none."""
        return structured(Sweep, data)


def with_pareto_marks(points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """The points, with `pareto` set on those that no other point dominates."""
    return tuple(
        replace(point, pareto=not any(_dominates(other, point) for other in points))
        for point in points
    )


def _dominates(a: SweepPoint, b: SweepPoint) -> bool:
    pair_a, pair_b = (a.arena_bytes, a.cost), (b.arena_bytes, b.cost)
    return pair_a != pair_b and pair_a[0] <= pair_b[0] and pair_a[1] <= pair_b[1]
