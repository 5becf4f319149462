"""The ways in which one network may be laid out in memory, from fastest to smallest.

All compute the same bits.  Which of them is taken is decided in `choose`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import tvm

from relax_passes import pipeline

from .dero import Dero
from .network_planner import NetworkPlanner
from .planning import DoesNotFit, MemoryPlan
from .schedule.network import CascadeKind
from .schedule.to_problem import Scheduled, Sharing

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

    What does not fit the board is left out; `refusals` says why.
    """

    def __init__(
        self,
        canonical: tvm.IRModule,
        planner: NetworkPlanner,
        progress: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self.planner = planner
        self.refusals: list[DoesNotFit] = []
        self._canonical = canonical
        self._progress = progress
        self._keep_inputs = planner.options.keep_inputs

    def of(self, mode: Dero) -> Iterator[Candidate]:
        """The candidates of one mode; streamed: the one with the least peak."""
        if mode is Dero.NONE:
            yield from self._made(mode, "whole tensors", pipeline.analyze(), Sharing.NONE)
        elif mode is Dero.ACCUMULATE:
            yield from self._made(mode, "accumulated", self._accumulate(), Sharing.IN_PLACE)
        elif mode is Dero.OVERLAP:
            overlap = pipeline.stream(limit=_NO_CASCADES, keep_inputs=self._keep_inputs)
            yield from self._made(mode, "overlapped", overlap, Sharing.ROWS)
            yield from self._made(mode, "overlap + accumulate", self._accumulate(), Sharing.ROWS)
        else:
            yield from self.streamed(None)

    def streamed(self, limit: int | None) -> Iterator[Candidate]:
        """Streamed no more than needed to stay within `limit` bytes; None: the least peak."""
        label = "streamed" if limit is None else f"streamed in {limit:,}"
        stream = pipeline.stream(limit=limit, keep_inputs=self._keep_inputs)
        yield from self._made(Dero.STREAM, label, stream, Sharing.ROWS)

    def _accumulate(self) -> tvm.transform.Pass:
        return pipeline.accumulate(keep_inputs=self._keep_inputs)

    def _made(
        self, mode: Dero, label: str, passes: tvm.transform.Pass, sharing: Sharing
    ) -> Iterator[Candidate]:
        self._progress(f"rewriting and planning: {label}")
        module = passes(self._canonical)
        try:
            yield Candidate(mode, label, module, *self.planner.plan(module, sharing))
        except DoesNotFit as error:
            self.refusals.append(error)
