"""Sweeping a network's plans: how much memory costs how many instructions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..boards.board import load_board
from ..boards.regions import board_regions
from ..boundary.errors import UserError, first_line, internal_errors
from ..boundary.input_arrays import random_inputs
from ..boundary.one_at_a_time import one_at_a_time
from ..report.sweep import MarkedBoard, Sweep, SweepPoint, with_pareto_marks
from ..runners import run
from ..schedule.column_groups import extra_macs, recompute_ratio
from ..schedule.network import Network
from .candidates import Candidate, Candidates
from .choose_plan import plans_in_windows, smallest
from .dero_levels import Dero
from .generate import generate
from .options import CompileOptions
from .prepare import PreparedModel, prepare
from .share_of_work import ShareOfWork
from .takes_options import takes_options

_QEMU = "qemu:mps2-an500"


@dataclass(frozen=True, kw_only=True)
class SweepOptions(CompileOptions):
    """`CompileOptions` and what else may be asked of a sweep.

    Parameters
    ----------
    device
        Where instructions are counted: ``qemu:<board>``, or ``none``.  By default
        ``qemu:mps2-an500`` if its tools are installed and the network fits it; otherwise the
        sweep's note says why nothing was counted.
    limits
        How many limits to stream within, evenly spread between the smallest plan without
        cascades and the smallest of all.
    twice
        How many plans below that, which make some things twice, evenly spread from the fewest
        multiply-accumulates to the fewest bytes.
    boards
        Boards to mark, by name or file: the sweep says which plan each has room for.
    """

    device: str | None = None
    limits: int = 4
    twice: int = 0
    boards: Sequence[str] = ()

    def marked(self) -> tuple[MarkedBoard, ...]:
        """The boards to mark.  Raises UserError for one that is not known, or the host."""
        found = []
        for board in map(load_board, self.boards):
            if not board.ram:
                raise UserError(f"{board.name}: its memory is not described, it cannot be marked")
            free = board_regions(board, self.reserved)[0].size or 0
            found.append(MarkedBoard(board.name, free))
        return tuple(sorted(set(found), key=lambda board: (board.ram_free, board.name)))


@takes_options(SweepOptions, without=("dero", "memory_budget", "max_recompute", "tune"))
@one_at_a_time
@internal_errors
def sweep(model: Any, options: SweepOptions) -> Sweep:
    """Plan a network in every way and count the instructions of each.

    Parameters
    ----------
    model
        As for `dero_tvm.compile`.
    options
        `SweepOptions`, as keywords or beside `CompileOptions`; not those that choose one plan:
        `dero`, `memory_budget`, `max_recompute`, `tune`.

    Raises UserError as `dero_tvm.compile` does, and if a `device` asked for cannot run the model.
    """
    boards = options.marked()
    work = ShareOfWork(options.progress)
    prepared = prepare(model, replace(options, progress=work))
    candidates = prepared.candidates()
    made = list(_plans(candidates, options.limits, work))
    made += _in_windows(candidates, options.twice, made[-1].arena_bytes)
    measure = _Measurement(prepared, options.device)
    measured = []
    for number, candidate in enumerate(made, 1):
        work.begin(number, len(made))
        measured.append(measure.point(candidate))
    points = with_pareto_marks(measured)
    if measure.note:  # some could not be measured: figures of others would not compare
        bare = [replace(point, instructions=None, code_bytes=None) for point in points]
        points = with_pareto_marks(bare)
    return Sweep(
        prepared.loaded.name,
        options.board.name,
        "" if measure.note else measure.device,
        measure.note,
        made[0].scheduled.network.macs,
        points,
        boards,
    )


def _plans(candidates: Candidates, limits: int, work: ShareOfWork) -> Iterator[Candidate]:
    """Every mode's candidates and some streamed ones between; none twice."""
    least = smallest(candidates, Dero.STREAM)  # raises if nothing fits the board
    seen: set[tuple[int, int]] = set()
    for candidate in _all_plans(candidates, limits, least, work):
        key = (candidate.arena_bytes, candidate.streamed_operators)
        if key not in seen:
            seen.add(key)
            yield candidate


def _all_plans(
    candidates: Candidates, limits: int, least: Candidate, work: ShareOfWork
) -> Iterator[Candidate]:
    top = 2 * least.arena_bytes
    flat = [c for mode in Dero.OVERLAP.included for c in candidates.of(mode)]
    if flat:
        yield from flat
        top = min(c.arena_bytes for c in flat)
    span = top - least.arena_bytes
    for number in range(1, limits + 1):
        work.begin(number, limits)
        for candidate in candidates.streamed(top - span * number // (limits + 1)):
            if candidate.arena_bytes > least.arena_bytes:
                yield candidate
    yield least


def _in_windows(candidates: Candidates, wanted: int, below: int) -> Iterator[Candidate]:
    """Smaller plans that make some things twice, with their ratios as labels."""
    plans = plans_in_windows(candidates) if wanted > 0 else None
    points = [] if plans is None else [p for p in plans.points if p.live_bytes < below]
    if plans is None or not points:
        return
    steps = max(wanted - 1, 1)
    for number in sorted({round(n * (len(points) - 1) / steps) for n in range(wanted)}):
        point = points[number]
        made = plans.made(point, candidates.in_windows, below)
        if made is not None:
            below = made.arena_bytes
            yield replace(made, label=f"windows, {recompute_ratio(made.scheduled.network):.2f}x")


class _Measurement:
    """Runs candidates where possible; `note` tells why it could not."""

    def __init__(self, prepared: PreparedModel, device: str | None) -> None:
        self.prepared = prepared
        self.asked = device is not None
        self.device = device or _QEMU
        self.note = "instructions were not counted, as --device none asks"
        if self.device != "none":
            self.note = ""
        self.progress = prepared.options.progress

    def point(self, candidate: Candidate) -> SweepPoint:
        schedules = candidate.scheduled.schedules.values()
        network = candidate.scheduled.network
        point = SweepPoint(
            candidate.label,
            candidate.mode.value,
            candidate.arena_bytes,
            candidate.streamed_operators,
            sum(sum(schedule.calls) for schedule in schedules) + _calls_inside(network),
            macs_again=extra_macs(network),
        )
        if self.note:
            return point
        self.progress(f"generating code: {candidate.label}")
        archive = generate(self.prepared, candidate, None)
        self.progress(f"running on {self.device}: {candidate.label}")
        try:
            inputs = random_inputs(archive.inputs, np.random.default_rng(0))
            result = run(archive, [inputs], self.device)
        except UserError as error:
            if self.asked:
                raise
            self.note = f"instructions were not counted on {self.device}: {first_line(error)}"
            return point
        if result.instructions is None:
            raise UserError(f"--device {self.device} counts no instructions; use {_QEMU} or none")
        code = result.model_sections.get("text")
        return replace(point, instructions=result.instructions[0], code_bytes=code)


def _calls_inside(network: Network) -> int:
    """Calls of kernels inside of groups, beside one for each pass."""
    groups = [op.group for op in network.operations if op.group is not None]
    return sum(group.kernel_calls - len(group.schedule.first) for group in groups)
