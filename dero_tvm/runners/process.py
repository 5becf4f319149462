"""Finding and running the tools that runners need."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..boundary.errors import UserError
from .result import RunError

MORE_TIME = "; allow it more (--time-limit) if the model needs it"

_COMPILE_TIME_LIMIT = 600.0  # seconds; compilers do not hang, but a runner must end

_KILLED = re.compile(r"fatal error: (.*) signal terminated program")  # gcc's words
_ERROR = re.compile(r"\berror:|cannot find|undefined reference|overflowed by")


@dataclass(frozen=True)
class Completed:
    """A process that ended by itself."""

    status: int  # exit status; negative: the signal that ended it
    messages: str  # standard output and error
    seconds: float


def find_tool(names: Sequence[str], packages: str) -> str:
    """The path of the first of these programs that is installed.

    Raises UserError with the Debian `packages` to install if none is.
    """
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise UserError(
        f"{' or '.join(names)} is not on PATH: install it (on Debian: apt install {packages})."
    )


def run(
    command: Sequence[str],
    folder: Path,
    *,
    time_limit: float,
    remedy: str = "",
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run a command in `folder`; after `time_limit` seconds kill it and raise RunError.

    `remedy` says in the error what can be done.
    """
    start = time.monotonic()
    process = None
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            # A group of its own, so that what the command starts is killed with it.
            start_new_session=True,
        )
        output, _ = process.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired as error:
        raise RunError(
            f"{Path(command[0]).name} ran longer than {time_limit:g} s and was stopped{remedy}",
            (error.output or b"").decode(errors="replace"),
        ) from error
    finally:
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    seconds = time.monotonic() - start
    return Completed(process.returncode, output.decode(errors="replace"), seconds)


def compile_objects(compiler: Sequence[str], sources: Sequence[Path], folder: Path) -> list[Path]:
    """Compile each source to an object file in `folder`; raises RunError with the diagnostics."""
    objects = []
    for number, source in enumerate(sources):
        target = folder / f"{number}_{source.stem}.o"
        build([*compiler, "-c", str(source), "-o", str(target)], folder)
        objects.append(target)
    return objects


def build(command: Sequence[str], folder: Path) -> None:
    """Run a compiler or linker; raises RunError with its first error if it fails."""
    output_of(command, folder)


def output_of(command: Sequence[str], folder: Path) -> str:
    """What a tool of the compiler prints; raises RunError with its first error if it fails."""
    completed = run(command, folder, time_limit=_COMPILE_TIME_LIMIT)
    if completed.status:
        lines = [line.strip() for line in completed.messages.splitlines() if line.strip()]
        first = next((line for line in lines if _ERROR.search(line)), "".join(lines[:1]))
        tool = Path(command[0]).name
        killed = _KILLED.search(completed.messages)
        if killed or completed.status < 0:  # the driver, or one of the programs that it starts
            by = killed[1] if killed else signal.strsignal(-completed.status)
            raise RunError(f"{tool} was killed ({by}), as when memory runs out", completed.messages)
        raise RunError(f"{tool} refused the generated code: {first}", completed.messages)
    return completed.messages
