"""The ways in which one network may be laid out in memory, from fastest to smallest.

All compute the same bits.  Which of them is taken is decided in `choose`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

import tvm

from relax_passes import pipeline
from relax_passes.streaming.stream_ports import CannotStream
from relax_passes.streaming.stream_rows import with_ascending_rows

from ..boundary.errors import UserError
from ..planning import DoesNotFit, MemoryPlan
from ..schedule.network import CascadeKind, Network
from ..schedule.to_problem import Scheduled, Sharing
from .dero_levels import Dero
from .network_planner import NetworkPlanner

_NO_CASCADES = 1 << 62  # bytes; within such a limit nothing has to be streamed


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way: the rewritten module, its row schedules, its memory plan."""

    mode: Dero
    label: str
    module: tvm.IRModule
    scheduled: Scheduled
    plan: MemoryPlan

    @property
    def arena_bytes(self) -> int:
        """Bytes of all arenas, with everything that lies in them."""
        return self.plan.total_bytes

    @property
    def streamed_operators(self) -> int:
        """Operators that run inside a cascade of several, row by row."""
        cascades = self.scheduled.network.cascades
        streams = [c.operations for c in cascades if c.kind is CascadeKind.STREAM]
        return sum(len(operations) for operations in streams if len(operations) > 1)


class Candidates:
    """Makes the candidates of one canonical module when they are asked for.

    What does not fit the board is left out; `refusals` says why.  Modes other than `modes` have
    no candidates: where rows are traded with the application, all do but streaming.
    """

    def __init__(
        self,
        canonical: tvm.IRModule,
        planner: NetworkPlanner,
        progress: Callable[[str], None] = lambda stage: None,
        modes: Collection[Dero] = tuple(Dero),
    ) -> None:
        self.modes = modes
        self.planner = planner
        self.refusals: list[tuple[DoesNotFit, Network]] = []
        self._canonical = canonical
        self._progress = progress
        self._options = planner.options
        self._rewritten: dict[str, tvm.IRModule] = {}

    def for_planner(self, planner: NetworkPlanner) -> Candidates:
        """The same ways, planned by another planner of the same model and options.

        Both share the rewritten modules, which no board has a say in.
        """
        other = copy.copy(self)
        other.planner = planner
        other.refusals = []
        return other

    def of(self, mode: Dero, below: int | None = None) -> Iterator[Candidate]:
        """The candidates of one mode, simplest first; streamed: those with the least peak.

        What cannot be smaller than `below` bytes is left out.
        """
        if mode not in self.modes:
            return
        if mode is Dero.NONE:
            yield from self._made(mode, "whole tensors", self._whole(), Sharing.NONE, below)
        elif mode is Dero.ACCUMULATE:
            yield from self._made(mode, "accumulated", self._accumulated(), Sharing.IN_PLACE, below)
        elif mode is Dero.OVERLAP:
            flat = self._streamed(_NO_CASCADES)
            yield from self._made(mode, "overlapped", flat, Sharing.ROWS, below)
            yield from self._made(
                mode, "overlap + accumulate", self._accumulated(), Sharing.ROWS, below
            )
        else:
            yield from self.streamed(None, below)

    def streamed(self, limit: int | None, below: int | None = None) -> Iterator[Candidate]:
        """Streamed no more than needed to stay within `limit` bytes; None: the least peak."""
        label = "streamed" if limit is None else f"streamed in {limit:,}"
        module = self._streamed(limit)
        for candidate in self._made(Dero.STREAM, label, module, Sharing.ROWS, below):
            yield candidate
            if candidate.arena_bytes == candidate.plan.lower_bound:
                return
        # Rows that run back and forth save most as long as all outputs find their place.
        ascending = with_ascending_rows(module)
        if ascending is not None:
            yield from self._made(
                Dero.STREAM, f"{label}, ascending", ascending, Sharing.ROWS, below
            )

    def _whole(self) -> tvm.IRModule:
        return self._once("whole", pipeline.analyze)

    def _accumulated(self) -> tvm.IRModule:
        keep_inputs = self._options.keep_inputs
        return self._once("accumulated", lambda: pipeline.accumulate(keep_inputs=keep_inputs))

    def _streamed(self, limit: int | None) -> tvm.IRModule:
        self._progress("finding cascades")
        stream = partial(
            pipeline.stream,
            limit=limit,
            keep_inputs=self._options.keep_inputs,
            external_io=self._options.external_io,
        )
        try:
            return self._once(f"streamed in {limit}", stream)
        except CannotStream as error:
            raise UserError(f"{self.planner.loaded.name}: {error}") from None

    def _once(self, name: str, make: Callable[[], tvm.transform.Pass]) -> tvm.IRModule:
        """The canonical module rewritten by the pass that `make` gives, kept under `name`."""
        if name not in self._rewritten:
            self._rewritten[name] = make()(self._canonical)
        return self._rewritten[name]

    def _made(
        self, mode: Dero, label: str, module: tvm.IRModule, sharing: Sharing, below: int | None
    ) -> Iterator[Candidate]:
        self._progress(f"planning: {label}")
        scheduled = self.planner.schedule(module, sharing)
        if below is not None and self.planner.least_bytes(scheduled) >= below:
            return
        try:
            plan = self.planner.plan(scheduled)
        except DoesNotFit as error:
            self.refusals.append((error, scheduled.network))
        else:
            yield Candidate(mode, label, module, scheduled, plan)
