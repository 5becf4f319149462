"""Runs a network on a board at a serial port, which has one of the projects flashed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..boundary.errors import UserError
from .result import RunResult, Tensor
from .serial_protocol import Link, run_on_link
from .unpacked_archive import Archive

SPEED = 115200  # bits a second


def check_port(path: str) -> None:
    """Raises UserError if there is no such port."""
    if sys.platform == "win32":
        raise UserError("serial ports are not supported on Windows")
    if not Path(path).exists():
        raise UserError(f"There is no serial port {path}: plug the board in, or name another.")


def run_serial(
    archive: Archive, inputs: Sequence[Mapping[str, Tensor]], path: str, run_time: float = 600.0
) -> RunResult:
    """Run one inference for each of `inputs` on the board at the serial port `path`.

    `run_time` is how many seconds an inference may take.  Raises UserError if the port cannot be
    used or serves another network, RunError if the board does not answer or the inference fails.
    """
    check_port(path)
    start = time.monotonic()
    with _opened(path) as link:
        outputs, microseconds = run_on_link(archive, inputs, link, run_time)
    return RunResult(
        outputs=outputs,
        instructions=None,
        stack_bytes=None,
        model_sections={},
        image_sections={},
        guard_ok=True,
        guard_report="",
        seconds=time.monotonic() - start,
        microseconds=microseconds if any(microseconds) else None,
    )


@contextmanager
def _opened(path: str) -> Iterator[Link]:
    """The port, without echo or line editing."""
    import termios
    import tty

    try:
        port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror})") from None
    try:
        try:
            tty.setraw(port)
            settings = termios.tcgetattr(port)
            settings[4] = settings[5] = termios.B115200
            termios.tcsetattr(port, termios.TCSANOW, settings)
            termios.tcflush(port, termios.TCIOFLUSH)
        except termios.error:
            raise UserError(f"{path}: is no serial port") from None
        yield Link(port, port)
    finally:
        os.close(port)
