"""The result of memory planning."""

from __future__ import annotations

from dataclasses import dataclass

from .problem import BufferKind, Options, Problem
from .rows.plan import RowPlan
from .rows.runs import Run
from .rows.usage import workspaces


@dataclass(frozen=True)
class Placement:
    """Where a buffer lies: `offset` bytes into the arena of `region`."""

    region: str
    offset: int


@dataclass(frozen=True)
class MemoryPlan:
    """An order of steps and an address for every buffer, with what is proven about both.

    With ``Options.external_io`` the input and output buffers have no placement.  States lie behind
    everything else in one of the arenas (see `persistent`).  In a plan by
    `rows`, which says where each row lies, `placements` has the tensors whose rows lie in sequence,
    `problem` is still that of rings and whole tensors, and the bound that of the rows.
    """

    problem: Problem
    options: Options
    order: tuple[int, ...]  # indices into problem.steps, in order of execution
    placements: dict[str, Placement]  # buffer name -> where it lies
    arena_bytes: dict[str, int]  # region name -> size of its arena
    lower_bound: int  # bytes; no placement for this order can be smaller (all regions together)
    order_proof: str  # e.g. "proven optimal", "written order", "best found in 20 s"
    placement_proof: str  # e.g. "meets the lower bound", "proven optimal", "gap 1,024 bytes"
    rows: RowPlan | None = None

    @property
    def total_bytes(self) -> int:
        """Bytes of all arenas together."""
        return sum(self.arena_bytes.values())

    @property
    def state_placements(self) -> dict[str, Placement]:
        """Where the states lie: at the end of one arena, one behind the other."""
        states = [b.name for b in self.problem.buffers if b.kind is BufferKind.STATE]
        return {name: self.placements[name] for name in states}

    @property
    def state_bytes(self) -> int:
        """Bytes from the first state to the end of its arena."""
        places = self.state_placements.values()
        ends = (self.arena_bytes[place.region] - place.offset for place in places)
        return max(ends, default=0)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The steps of the program: of positions in `order`, those that run as one."""
        if self.rows is not None:
            return self.rows.runs
        return tuple(Run(position, position + 1) for position in range(len(self.order)))

    @property
    def workspaces(self) -> tuple[int, ...]:
        """For each of `runs` the bytes that it needs for what no other one reads.

        Those are rings, or the most rows that are alive at once, and scratch.
        """
        if self.rows is not None:
            return workspaces(self.rows)
        sizes = {buffer.name: buffer.size for buffer in self.problem.buffers}
        steps = [self.problem.steps[index] for index in self.order]
        return tuple(sum(sizes[name] for name in step.temporaries) for step in steps)
