"""Runs generated C on an emulated Cortex-M and measures instructions and stack.

QEMU runs with `-icount shift=0`: its virtual time advances by one nanosecond with each
instruction, so a counter of the board, read before and after an inference, counts instructions in
units of its tick (40 or 50).  The number is the same in every run with the same archive and
inputs.  It differs from the true one by less than two ticks: one for the tick in which the
inference ends, one for reading the counter and calling the model.  Each run times a loop of known
length first and refuses to go on if the counter is not what the board's description says.
Instructions are not cycles: memories and pipelines are not emulated.

The model runs on a stack of its own that was painted before, so the deepest changed word shows
how much it used: by itself and what it calls, without the test program.  `stack_bound` says how
much it could use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..boards.board import Board, QemuMachine, load_board
from ..boundary.errors import UserError
from .baremetal import Image, build_image
from .elf import section_sizes
from .errors import RunError
from .exchange import Results, pack_inputs, unpack_results
from .fault import describe_fault
from .process import MORE_TIME, Completed, find_tool, run
from .result import RunResult, Tensor
from .stack_bound import NoBound, StackBound, stack_bound
from .unpacked_archive import Archive
from .workspace import build_folder

_CALIBRATION_INSTRUCTIONS = 200_000  # of the loop in targets/baremetal/platform.c
_STACK_ALIGNMENT = 8  # bytes, of the Arm procedure call standard


def find_emulator() -> str:
    """The path of QEMU; UserError if it is not installed."""
    return find_tool(["qemu-system-arm"], "qemu-system-arm")


def run_qemu(
    archive: Archive,
    inputs: Sequence[Mapping[str, Tensor]],
    *,
    machine: str | Path | Board = "mps2-an500",
    flags: Sequence[str] = (),
    copy_io: bool = False,
    fill: int = 0xA5,
    stack_size: int = 4096,
    time_limit: float = 120.0,
    profile: bool = False,
    keep: Path | None = None,
) -> RunResult:
    """Cross-compile the archive's C and run one inference for each of `inputs` in QEMU.

    machine: a board with a `[qemu]` table: its name, the path of its TOML file, or the Board.
    flags: further compiler flags, after -std=c11 -O2 -Wall -Wextra -Werror and the board's.
    copy_io: inputs and outputs lie outside the arena, and the model copies them; always so if it
        was compiled for inputs and outputs in the caller's memory.
    fill: the byte that arenas hold before the first inference.
    stack_size: bytes of the model's stack, a multiple of 8; using all of it is a RunError.
    time_limit: of the run in seconds, without compiling.
    profile: also count the instructions of each step, in units of the counter's tick.  The
        compiler lays the code out differently then, so an inference may take some percent more.
    keep: folder to build in and leave behind, for a look at what was run.

    Raises UserError if a tool is missing, if `inputs` are not the model's, or if the model does
    not fit the board; RunError if the code does not compile, fails, faults or takes too long.
    """
    board = machine if isinstance(machine, Board) else load_board(machine)
    if board.qemu is None:
        raise UserError(f"The board {board.name} has no [qemu] table, so QEMU cannot run it.")
    if stack_size <= 0 or stack_size % _STACK_ALIGNMENT:
        raise UserError(f"a stack of {stack_size} bytes: its size must be a positive multiple of 8")
    packed = pack_inputs(archive, inputs)
    emulator = find_emulator()
    if profile:
        counter = f"(*(volatile uint32_t *){board.qemu.counter:#x}u)"
        flags = (f"-DTVMGEN_PROFILE={counter}", *flags)
    with build_folder(keep) as folder:
        image = build_image(
            archive,
            board,
            folder,
            flags=flags,
            copy_io=copy_io,
            fill=fill,
            model_stack=stack_size,
        )
        (folder / "inputs.bin").write_bytes(packed)
        command = [*emulator_command(emulator, board.qemu, image.program), "-icount", "shift=0"]
        completed = run(command, folder, time_limit=time_limit, remedy=MORE_TIME)
        if completed.status:
            raise _failure(completed, image, board, stack_size)
        data = (folder / "outputs.bin").read_bytes()
        results = unpack_results(archive, len(inputs), data, profile=profile)
        tick = board.qemu.instructions_per_tick
        _check_counter(results, board, board.qemu)
        return RunResult(
            outputs=[inference.outputs for inference in results.inferences],
            instructions=[inference.ticks * tick for inference in results.inferences],
            stack_bytes=max(inference.stack_bytes for inference in results.inferences),
            stack_bound=_stack_bound(image),
            model_sections=section_sizes(image.model_objects),
            image_sections=section_sizes([image.program]),
            guard_report=results.guard_report,
            seconds=completed.seconds,
            profile=results.profile(archive, "instructions", tick) if profile else None,
        )


def emulator_command(emulator: str, machine: QemuMachine, program: Path) -> list[str]:
    """How QEMU is called to run `program`."""
    return [
        emulator,
        *("-M", machine.machine),
        *("-display", "none", "-monitor", "none", "-serial", "none", "-nic", "none"),
        *("-semihosting-config", "enable=on,target=native"),
        *("-kernel", str(program)),
    ]


def _stack_bound(image: Image) -> StackBound | None:
    try:
        return stack_bound(image.program, "harness_run_model", image.callbacks)
    except (NoBound, UserError):  # it says more than was asked for
        return None


def _failure(completed: Completed, image: Image, board: Board, stack_size: int) -> RunError:
    """Why the emulated program or QEMU ended with an error."""
    fault = describe_fault(completed.messages, image.program, board.ram[0].origin)
    if fault:
        return RunError(f"The generated code failed: {fault}")
    if "DERO-STACK" in completed.messages:
        return RunError(
            f"The model used all of its {stack_size} bytes of stack, so it may have overflowed: "
            "allow it more (--stack-size)."
        )
    if board.qemu and "Lockup" in completed.messages:  # it found no vectors, or no handler
        return RunError(
            f"The program did not start on QEMU's machine {board.qemu.machine}: do flash and RAM "
            f"of the board {board.name} lie at addresses where that machine has memory?",
            completed.messages,
        )
    last = completed.messages.strip().splitlines()[-1:] or ["no message"]
    return RunError(
        f"QEMU ended with status {completed.status}: {last[0].removeprefix('DERO-ERROR ')}",
        completed.messages,
    )


def _check_counter(results: Results, board: Board, machine: QemuMachine) -> None:
    counted = results.calibration_ticks * machine.instructions_per_tick
    if abs(counted - _CALIBRATION_INSTRUCTIONS) > 2 * machine.instructions_per_tick:
        raise RunError(
            f"This QEMU's counter shows {counted} instructions for a loop of "
            f"{_CALIBRATION_INSTRUCTIONS}: correct 'instructions_per_tick' or 'counter' in the "
            f"[qemu] table of board {board.name}."
        )
