"""The ways in which one network may be laid out in memory, from fastest to smallest.

All compute the same bits.  Which of them is taken is decided in `choose_plan`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import tvm

from relax_passes import pipeline
from relax_passes.residuals.fuse_joins import is_fused
from relax_passes.streaming.join_decisions import UNLIMITED
from relax_passes.streaming.make_again import Again
from relax_passes.streaming.stream_ports import CannotStream
from relax_passes.streaming.stream_rows import with_ascending_rows

from ..boundary.errors import UserError
from ..planning import DoesNotFit, MemoryPlan
from ..planning.column_windows.grouping import Grouping
from ..planning.rows.problem import RowProblem
from ..schedule.network import CascadeKind, Network
from ..schedule.to_problem import Scheduled, Sharing
from .dero_levels import Dero
from .network_planner import NetworkPlanner
from .pass_runner import PassRunner
from .row_planner import exceeds_row_placement

_LATER = 0.4  # of the search for places, for the rows of other cascades than the first


class _NotInOneCascade(UserError):
    """What trades an input or output by rows is not in one cascade, or not for that purpose."""


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
    no candidates: with row-streamed inputs or outputs, all do but streaming.
    """

    def __init__(
        self,
        canonical: tvm.IRModule,
        planner: NetworkPlanner,
        progress: Callable[[str], None] = lambda stage: None,
        modes: Collection[Dero] = tuple(Dero),
        passes: PassRunner | None = None,
    ) -> None:
        self.modes = modes
        self.planner = planner
        self.refusals: list[tuple[DoesNotFit, Network]] = []
        self._canonical = canonical
        self.progress = progress
        self._passes = passes or PassRunner()
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
            flat = self._streamed(UNLIMITED)
            yield from self._made(mode, "overlapped", flat, Sharing.ROWS, below)
            yield from self._made(
                mode, "overlap + accumulate", self._accumulated(), Sharing.ROWS, below
            )
        else:
            yield from self.streamed(None, below)

    def likely(self) -> Iterator[Candidate]:
        """Streamed candidates that are mostly near the smallest, found with the least work.

        The first has an address for every row; where there is none such, they are in rings.
        """
        if Dero.STREAM not in self.modes:
            return
        try:
            module = self._joined()
        except _NotInOneCascade:
            module = None
        if module is not None:
            scheduled = self.planner.schedule(module, Sharing.ROWS)
            plan = self.planner.plan_row_placement(scheduled)
            if plan is not None:
                yield Candidate(Dero.STREAM, "row by row", module, scheduled, plan)
                return
        yield from self._in_rings("streamed", None, None)

    def streamed(self, limit: int | None, below: int | None = None) -> Iterator[Candidate]:
        """Streamed no more than needed to stay within `limit` bytes; None: the least peak."""
        label = "streamed" if limit is None else f"streamed in {limit:,}"
        rings = []
        for candidate in self._in_rings(label, limit, below):
            rings.append(candidate)
            yield candidate
        if limit is None:
            yield from self._row_placed(rings, below)

    def _in_rings(self, label: str, limit: int | None, below: int | None) -> Iterator[Candidate]:
        module = self._streamed(limit)
        for candidate in self._made(Dero.STREAM, label, module, Sharing.ROWS, below):
            yield candidate
            if candidate.arena_bytes == candidate.plan.lower_bound:
                return
        # Rows that run back and forth save most as long as all outputs find their place.
        ascending = self._ascending(module, _folder(limit))
        if ascending is not None:
            yield from self._made(
                Dero.STREAM, f"{label}, ascending", ascending, Sharing.ROWS, below
            )

    def _row_placed(self, rings: Sequence[Candidate], below: int | None) -> Iterator[Candidate]:
        """Streamed with an address for every row, where that is smaller than `rings` and `below`.

        The search for an order of rows ends elsewhere when it begins with other cascades, so it
        begins with those for rows, where joins may be fused, and with those for rings.  The others
        rarely need less than the first, and often they are the same calls.
        """
        if rings and exceeds_row_placement(rings[0].scheduled.network):
            return
        self.progress("placing rows")
        sizes = [candidate.arena_bytes for candidate in rings]
        smallest = min([*sizes, *([] if below is None else [below])], default=None)
        modules = self._cut_for_rows()
        ways = [(module, self.planner.schedule(module, Sharing.ROWS)) for module in modules]
        ways += [(candidate.module, candidate.scheduled) for candidate in rings[:1]]
        seen: list[RowProblem] = []
        for number, (module, scheduled) in enumerate(ways):
            share = _LATER if number else 1.0
            plan = self.planner.plan_row_placement(scheduled, smallest, share=share, seen=seen)
            if plan is not None:
                smallest = plan.total_bytes
                yield Candidate(Dero.STREAM, "row by row", module, scheduled, plan)

    def in_windows(
        self,
        network: Network,
        grouping: Grouping,
        below: int | None = None,
        again: Sequence[Again] = (),
    ) -> Candidate | None:
        """Streamed with an address for every row, groups of operations in windows of columns.

        `network` is `streamed_for_windows` with `again`, in any cascades, and `grouping` numbers
        its operations.
        None if the arena would have `below` bytes or more, or does not fit the board.  Raises
        UserError where a group cannot be computed so.
        """
        self.progress("placing rows of windows")
        scheduled = self.planner.schedule_in_windows(network, grouping)
        plan = self.planner.plan_row_placement(scheduled, below)
        if plan is None:
            return None
        label = "in windows of columns" if grouping else "row by row, in other cascades"
        if again:
            label += ", long skips made again"
        return Candidate(Dero.STREAM, label, self._joined(again), scheduled, plan)

    def streamed_for_windows(self, again: Sequence[Again] = ()) -> Network | None:
        """The network whose operations a grouping numbers; None if it is not one for rows.

        What trades inputs or outputs by rows is then not in one cascade for row placement.  What
        `again` names is made a second time.
        """
        try:
            return self.planner.schedule(self._joined(again), Sharing.ROWS).network
        except _NotInOneCascade:
            return None

    def _cut_for_rows(self) -> Iterator[tvm.IRModule]:
        """Modules in cascades for row placement, with joins fused and, if any was, without.

        None where what trades an input or output by rows is not in one such cascade, as it is in
        one of those for rings.
        """
        try:
            joined = self._joined()
            yield joined
            if is_fused(joined):
                yield self._streamed(None, row_placement=True)
        except _NotInOneCascade:
            return

    def _whole(self) -> tvm.IRModule:
        return self._once("analyze", pipeline.analyze)

    def _accumulated(self) -> tvm.IRModule:
        keep_inputs = self._options.keep_inputs
        return self._once("accumulate", lambda: pipeline.accumulate(keep_inputs=keep_inputs))

    def _joined(self, again: Sequence[Again] = ()) -> tvm.IRModule:
        """Streamed for row placement, with the joins fused that have a kernel on the core.

        What `again` names, by the names in that module, is made a second time.
        """
        apart: dict[str, str] = {}
        module = self._streamed(None, row_placement=True, apart=apart)
        without = self.planner.without_kernels(module)
        if without:
            reason = "the core has kernels for the two operators, but none for both together"
            apart = dict.fromkeys(without, reason)
        if not without and not again:
            return module
        return self._streamed(None, row_placement=True, apart=apart, again=tuple(again))

    def _streamed(
        self,
        limit: int | None,
        *,
        row_placement: bool = False,
        apart: Mapping[str, str] | None = None,
        again: tuple[Again, ...] = (),
    ) -> tvm.IRModule:
        self.progress("finding cascades")
        stream = partial(
            pipeline.stream,
            limit=limit,
            keep_inputs=self._options.keep_inputs,
            external_io=self._options.external_io,
            row_placement=row_placement,
            apart=apart,
            again=again,
        )
        name = "rows" if row_placement else _folder(limit)
        if row_placement and apart != {}:
            name += "_apart" if apart is None else "_partly_apart"
        if again:
            name += f"_{len(again)}_made_again"
        try:
            return self._once(name, stream, (*(apart or ()), *map(repr, again)))
        except CannotStream as error:
            raise _NotInOneCascade(f"{self.planner.loaded.name}: {error}") from None

    def _once(
        self,
        name: str,
        make: Callable[[], tvm.transform.Pass],
        choice: tuple[str, ...] = (),
    ) -> tvm.IRModule:
        """The canonical module rewritten by the pass that `make` gives, kept under `name`.

        What else the pass depends on is its `choice`.
        """
        key = " ".join((name, *choice))
        if key not in self._rewritten:
            self._rewritten[key] = self._passes.run(make(), self._canonical, name)
        return self._rewritten[key]

    def _ascending(self, module: tvm.IRModule, name: str) -> tvm.IRModule | None:
        """A streamed module with all cascades ascending, if any descends."""
        key = f"{name}, ascending"
        if key not in self._rewritten:
            ascending = with_ascending_rows(module)
            if ascending is None:
                return None
            self._passes.add("ascending", ascending, name)
            self._rewritten[key] = ascending
        return self._rewritten[key]

    def _made(
        self, mode: Dero, label: str, module: tvm.IRModule, sharing: Sharing, below: int | None
    ) -> Iterator[Candidate]:
        self.progress(f"planning: {label}")
        scheduled = self.planner.schedule(module, sharing)
        if below is not None and self.planner.least_bytes(scheduled) >= below:
            return
        try:
            plan = self.planner.plan(scheduled)
        except DoesNotFit as error:
            self.refusals.append((error, scheduled.network))
        else:
            yield Candidate(mode, label, module, scheduled, plan)


def _folder(limit: int | None) -> str:
    """What a streamed module is kept and dumped under."""
    if limit is None:
        return "stream"
    return "overlap" if limit == UNLIMITED else f"stream_in_{limit}"
