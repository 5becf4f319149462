"""One entry to all runners, chosen by the name of a device."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..boards.board import list_boards, load_board
from ..boundary.errors import UserError, internal_errors
from .baremetal import find_cross_compiler
from .host_c import find_compiler, run_host_c
from .qemu import find_emulator, run_qemu
from .result import RunError, RunResult, Tensor
from .serial_port import check_port, run_serial

if TYPE_CHECKING:
    from ..aot import ModelArchive


def check_device(device: str) -> str:
    """The name of the board that `device` runs on.

    Raises UserError if there is no such device, or if a tool that it needs is missing: worth
    knowing before a long compilation.
    """
    kind, _, board = device.partition(":")
    if kind == "qemu" and board:
        if load_board(board).qemu is None:
            known = ", ".join(_emulated())
            raise UserError(
                f"QEMU cannot run the board {board}, which has no [qemu] table; boards that have "
                f"one: {known}"
            )
        find_emulator()
        find_cross_compiler()
        return board
    if kind == "serial" and board:
        check_port(board)
        return "host"
    if device == "host-c":
        find_compiler()
    elif device != "host":
        emulated = [f"qemu:{name}" for name in _emulated()]
        known = ", ".join(["host", "host-c", *emulated, "serial:PORT"])
        raise UserError(f"Unknown device '{device}': known are {known}.")
    return "host"


def check_profile(device: str) -> None:
    """Raises UserError if `device` cannot measure single steps."""
    if device == "host" or device.startswith("serial:"):
        raise UserError(
            "a profile needs the generated C: choose --device host-c (time) or qemu:BOARD "
            "(instructions)"
        )


@internal_errors
def run(
    archive: ModelArchive,
    inputs: Sequence[Mapping[str, Tensor]],
    device: str = "host",
    *,
    profile: bool = False,
    time_limit: float | None = None,
    stack_size: int | None = None,
) -> RunResult:
    """Run one inference for each of `inputs` (by name, as in the model file).

    device: "host" (TVM's LLVM JIT), "host-c" (a C compiler of the host), "qemu:<board>", or
    "serial:<port>" (a board with one of the projects of `tvmc micro create-project`).
    profile: also measure each step; not on "host" and not at a serial port.
    time_limit: seconds on "host-c" and "qemu:<board>"; the default is that of the runner.
    stack_size: bytes of the model's stack on "qemu:<board>"; the default is that of the runner.

    Raises UserError if the device is none of these or lacks a tool, RunError if the run fails.
    """
    board = check_device(device)
    if profile:
        check_profile(device)
    limits: dict[str, Any] = {} if time_limit is None else {"time_limit": time_limit}
    if device == "host-c":
        return run_host_c(archive, inputs, profile=profile, **limits)
    if device == "host":
        return _run_host(archive, inputs)
    kind, _, port = device.partition(":")
    if kind == "serial":
        return run_serial(archive, inputs, port)
    if stack_size is not None:
        limits["stack_size"] = stack_size
    return run_qemu(archive, inputs, machine=board, profile=profile, **limits)


def _emulated() -> list[str]:
    return [name for name in list_boards() if load_board(name).qemu]


def _run_host(archive: ModelArchive, inputs: Sequence[Mapping[str, Tensor]]) -> RunResult:
    # Here, so that the other runners work without TVM.
    from .host import run_host

    start = time.monotonic()
    try:
        outputs = run_host(archive, inputs)
    except RuntimeError as error:
        raise RunError(str(error)) from error
    return RunResult(
        outputs=outputs,
        instructions=None,
        stack_bytes=None,
        model_sections={},
        image_sections={},
        guard_ok=True,
        guard_report="",
        seconds=time.monotonic() - start,
    )
