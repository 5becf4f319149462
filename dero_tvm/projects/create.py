"""Writing a project: all of its files, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.boards.board import Board
from dero_tvm.boundary.atomic_write import write_folder
from dero_tvm.boundary.errors import UserError

from .arduino import arduino_files
from .bare import cmake_files
from .order import Order, kernels_of_other_cores
from .platform_tools import kind_of
from .zephyr import zephyr_files

KINDS: Mapping[str, Callable[[Order, str], dict[str, str | bytes]]] = {
    "zephyr": zephyr_files,
    "arduino": arduino_files,
    "cmake": cmake_files,
}
"""The kinds of projects."""


def create_project(
    kind: str,
    folder: Path,
    archive: ModelArchive,
    board: Board,
    *,
    archive_name: str = "model.tar",
    other_core: bool = False,
    force: bool = False,
) -> list[Path]:
    """Write a project around `archive` for `board` into a new `folder`; returns the files' paths.

    `kind` is one of `KINDS`; `archive_name` is what the project's README calls the archive;
    `other_core` allows kernels for a core with more than the board's; with `force` the new project
    takes the place of one that is in `folder`, once all is known to be right with it.

    Raises UserError if the folder exists and is not empty, if the board is not known to that kind
    of project or has no room for the arena, if the archive has kernels for another core, or if the
    folder cannot be written.
    """
    if kind not in KINDS:
        raise UserError(f"{kind}: not a type of project; there are {', '.join(KINDS)}")
    if not board.ram and not (kind == "zephyr" and board.zephyr):
        raise UserError(
            f"{board.name} is no board for {kind} projects: name one with --board (tvmc boards)"
        )
    folder = folder.absolute()
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and force:
        kind_of(folder)  # nothing else is removed
    elif taken:
        raise UserError(f"{folder.name}: exists already; give the name of a new folder")
    if not other_core and (reason := kernels_of_other_cores(archive, board)):
        raise UserError(f"{reason}, or insist with --other-core")
    files = KINDS[kind](Order(archive, archive_name, board), folder.name)
    encoded = {n: c.encode() if isinstance(c, str) else c for n, c in files.items()}
    write_folder(folder, encoded, instead=force)
    return [folder / name for name in sorted(files)]
