"""Building and flashing a project with the tools of its platform.

The README of a project has the commands, each on an indented line of its own; they are taken from
there, so that what a user reads is what is run.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dero_tvm.boundary.errors import UserError


@dataclass(frozen=True)
class _Platform:
    mark: str  # a file that its projects have
    build: tuple[str, ...]  # how the commands of the README begin that build
    flash: tuple[str, ...]


_PLATFORMS = {
    "zephyr": _Platform("prj.conf", ("west build",), ("west flash",)),
    "arduino": _Platform("*.ino", ("arduino-cli compile",), ("arduino-cli upload",)),
    "cmake": _Platform("arm-none-eabi.cmake", ("cmake -S", "cmake --build"), ()),
}


def kind_of(folder: Path) -> str:
    """The kind of the project in `folder`; UserError if ``tvmc micro`` made none there."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder of a project")
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: make it with tvmc micro create-project")
    for kind, platform in _PLATFORMS.items():
        if any(folder.glob(platform.mark)) and (folder / "README.md").is_file():
            return kind
    raise UserError(f"{folder} is no project of tvmc micro create-project")


def build(folder: Path, *, again: bool = False) -> None:
    """Build the project; with `again`, from the start.

    Raises UserError if the platform's tool is not installed, with what to type, or if it fails.
    """
    commands = _commands(folder, _PLATFORMS[kind_of(folder)].build)
    _check_tool(folder, commands)
    if again:
        shutil.rmtree(folder / "build", ignore_errors=True)
    _run(folder, commands)


def flash(folder: Path, options: Mapping[str, str] | None = None) -> None:
    """Bring the program of a built project onto its board.

    `options` may have the ``port`` of an Arduino board.  Raises UserError as `build` does, and for
    a bare project, whose board is flashed by a debugger.
    """
    kind = kind_of(folder)
    commands = _commands(folder, _PLATFORMS[kind].flash)
    if not commands:
        raise UserError(
            f"{folder}: build/app.elf of a {kind} project is brought onto the board by its "
            "debugger: pyocd, openocd, or the board's own tool"
        )
    if port := (options or {}).get("port"):
        commands = [
            [port if before == "--port" else word for before, word in zip(["", *line], line)]
            for line in commands
        ]
    _check_tool(folder, commands)
    _run(folder, commands)


def _commands(folder: Path, beginnings: Iterable[str]) -> list[list[str]]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [shlex.split(line) for begin in beginnings for line in lines if line.startswith(begin)]


def _check_tool(folder: Path, commands: Sequence[Sequence[str]]) -> None:
    tool = commands[0][0] if commands else ""
    if not commands:
        raise UserError(f"{folder}: its README.md has no command for that any more")
    if shutil.which(tool) is None:
        typed = " and ".join(f"`{shlex.join(command)}`" for command in commands)
        raise UserError(f"{tool} is not installed here; where it is, type in {folder}: {typed}")


def _run(folder: Path, commands: Iterable[Sequence[str]]) -> None:
    for command in commands:
        status = subprocess.run(command, cwd=folder).returncode
        if status != 0:
            raise UserError(f"{shlex.join(command)} in {folder} failed with status {status}")
