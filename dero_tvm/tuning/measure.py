"""What each kernel takes: cycles of the board's core, instructions, or time on this machine.

Cycles are estimates (`dero_tvm.cycles`) of what ran in QEMU, for cores whose pipeline there is a
model of; where there is none, or a tool of the estimate is missing, instructions are counted.  A
board that QEMU does not emulate is stood in for by one with the same core, or one of the same
instruction set: the same instructions run there, whatever the memory around it.  The board's own
compiler flags are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dero_tvm.boards.board import Board, list_boards, load_board
from dero_tvm.boundary.errors import UserError
from dero_tvm.cycles import pipeline_of, step_cycles, why_no_estimate
from dero_tvm.planning import DoesNotFit
from dero_tvm.runners import RunResult, run_host_c, run_qemu

from .program import trial_archive
from .trial import Trial

_HOST_RUNS = 5  # the least time counts: other processes only make it longer
_TIME_LIMIT = 600.0  # seconds in the emulator, for one program
_FLASH_SHARE = 0.75  # of the board's flash, for constants; the rest is code
_HOST_PROGRAM = 16 << 20  # bytes of constants


_SAME_INSTRUCTIONS = {"cortex-m85": "cortex-m55"}  # cores that QEMU has none of, and one it has


@dataclass(frozen=True)
class Meter:
    """Where kernels of a board are measured."""

    board: Board  # to run on: with a QEMU machine, or the host
    unit: str  # cycles, or as in `runners.Profile`
    judge: str  # what the figures are, in words that may end a sentence

    @property
    def label(self) -> str:
        """What reports call it."""
        return "this machine" if self.board.qemu is None else f"QEMU {self.board.name}"


def meter_of(board: Board) -> Meter:
    """Where kernels for `board` can be measured; UserError if nowhere."""
    if board.core == "host":
        return Meter(board, "ns", "the least time of several runs on this machine")
    stand_in = _emulated(board)
    why_not = why_no_estimate(board.core)
    if why_not is None:
        return Meter(stand_in, "cycles", f"cycles, estimated by {pipeline_of(board.core).source}")
    return Meter(stand_in, "instructions", f"instructions, not cycles, as {why_not}")


def _emulated(board: Board) -> Board:
    """`board`, or what QEMU runs its code on, with its core and flags; UserError if nothing."""
    if board.qemu is not None:
        return board
    emulated = [other for other in map(load_board, list_boards()) if other.qemu]
    for core in (board.core, _SAME_INSTRUCTIONS.get(board.core)):
        for other in emulated:
            if other.core == core and board.features <= other.features:
                return replace(other, core=board.core, flags=board.flags)
    cores = sorted({other.core for other in emulated})
    raise UserError(
        f"--tune cannot measure kernels for {board.name}: QEMU emulates no board with its core, "
        f"{board.core} (known: {', '.join(cores)}); compile without --tune"
    )


def measure(trials: Sequence[Trial], meter: Meter) -> list[tuple[int, ...]]:
    """For each trial what each of its kernels takes, in the meter's unit.

    All kernels run in one program, or in a few where their constants fill the flash.

    Raises UserError if a tool is missing or a trial does not fit the emulated board, RunError if
    a kernel does not compile or faults.
    """
    costs: list[tuple[int, ...]] = []
    for batch in batches(trials, meter):
        steps = iter(_run(batch, meter))
        costs += [tuple(next(steps) for _ in trial.kernels) for trial in batch]
    return costs


def _run(trials: Sequence[Trial], meter: Meter) -> list[int]:
    """What each step of the trials' program takes."""
    try:
        archive = trial_archive(trials, meter.board)
    except DoesNotFit as error:
        raise UserError(
            f"--tune cannot measure on {meter.board.name}: {trials[0].described} needs "
            f"{error.required:,} bytes of RAM, {error.excess:,} more than it has; compile without "
            "--tune"
        ) from None
    rng = np.random.default_rng(0)
    inputs = {
        port.name: (
            rng.normal(size=port.shape)
            if np.dtype(port.dtype).kind == "f"
            else rng.integers(0, 2 if port.dtype == "bool" else 128, port.shape)
        ).astype(port.dtype)
        for port in archive.inputs
    }
    if meter.unit == "cycles":
        steps = sum(len(trial.kernels) for trial in trials)
        return step_cycles(archive, inputs, meter.board, steps)
    result: RunResult
    if meter.board.qemu is None:
        result = run_host_c(archive, [inputs] * _HOST_RUNS, profile=True)
    else:
        result = run_qemu(
            archive, [inputs], machine=meter.board, profile=True, time_limit=_TIME_LIMIT
        )
    assert result.profile is not None
    resolution = result.profile.resolution
    return [min(ticks) * resolution for ticks in zip(*result.profile.ticks, strict=True)]


def batches(trials: Sequence[Trial], meter: Meter) -> Iterator[list[Trial]]:
    """Trials whose constants fit into flash together; one that does not is a batch of its own."""
    flash = meter.board.flash
    room = int(flash.size * _FLASH_SHARE) if flash else _HOST_PROGRAM
    batch: list[Trial] = []
    filled = 0
    for trial in trials:
        size = _constant_bytes(trial)
        if batch and filled + size > room:
            yield batch
            batch, filled = [], 0
        batch.append(trial)
        filled += size
    if batch:
        yield batch


def _constant_bytes(trial: Trial) -> int:
    arrays = list(trial.request.constants.values())
    for kernel in trial.kernels:
        arrays += kernel.constants.values() if kernel else ()
    return sum(array.nbytes for array in arrays)
