"""Writing a project: all of its files, or none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.boards.board import Board
from dero_tvm.boundary.errors import UserError

from .arduino import arduino_files
from .bare import cmake_files
from .order import Order
from .zephyr import zephyr_files

KINDS: Mapping[str, Callable[[Order, str], dict[str, str | bytes]]] = {
    "zephyr": zephyr_files,
    "arduino": arduino_files,
    "cmake": cmake_files,
}
"""The kinds of projects."""


def create_project(
    kind: str, folder: Path, archive: ModelArchive, board: Board, *, archive_name: str = "model.tar"
) -> list[Path]:
    """Write a project around `archive` for `board` into a new `folder`; returns the files' paths.

    `kind` is one of `KINDS`; `archive_name` is what the project's README calls the archive.

    Raises UserError if the folder exists and is not empty, if the board is not known to that kind
    of project or has no room for the arena, or if the folder cannot be written.
    """
    if kind not in KINDS:
        raise UserError(f"{kind}: not a type of project; there are {', '.join(KINDS)}")
    if not board.ram:
        raise UserError(f"{board.name} is no board: name one with --board (tvmc boards)")
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder.name}: exists already; give the name of a new folder")
    files = KINDS[kind](Order(archive, archive_name, board), folder.name)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tvmc-") as temporary:
            staged = Path(temporary) / "project"
            for name, content in files.items():
                path = staged / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            if folder.exists():  # an empty one, which stays: a shell may be in it
                for path in staged.iterdir():
                    path.rename(folder / path.name)
            else:
                staged.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return [folder / name for name in sorted(files)]
