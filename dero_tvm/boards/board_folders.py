"""Where board descriptions lie: the user's folders, those of plug-ins, and the package's own.

Of two boards of one name the first in this order counts, so that a user's file can stand in for
one that comes with the package.
"""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from types import ModuleType

from ..boundary.errors import UserError
from ..boundary.plugins import BOARDS, entry_points, loaded

VARIABLE = "DERO_TVM_BOARDS"
"""Folders of ``.toml`` files, separated as in ``PATH``."""

_added: list[Path] = []


def targets_folder() -> Path:
    """The folder of board descriptions and C templates: installed, or at the checkout's root."""
    try:
        # A file of the folder, as the folder itself is a namespace package without one path.
        probe = importlib.resources.files("dero_tvm.targets") / "host.toml"
        return Path(str(probe)).parent
    except ModuleNotFoundError:
        return Path(__file__).resolve().parents[2] / "targets"


def add_boards(folder: str | os.PathLike[str]) -> None:
    """Let `folder` be searched for boards: what a plug-in calls.

    Raises UserError if it is no folder.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UserError(f"{path} is not a folder of board descriptions.")
    if path not in _added:
        _added.append(path)


def board_files() -> dict[str, Path]:
    """The description of every known board, by name.

    Raises UserError for a folder of ``DERO_TVM_BOARDS`` that does not exist, and for a plug-in
    that has none.
    """
    found: dict[str, Path] = {}
    for folder in (*_of_the_user(), *_added, *_of_plug_ins(), targets_folder()):
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def _of_the_user() -> list[Path]:
    folders = [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{VARIABLE}: {folder} is not a folder of board descriptions.")
    return folders


def _of_plug_ins() -> list[Path]:
    """What the entry points of boards stand for: a folder, or a package that lies in one."""
    folders = []
    for point in entry_points(BOARDS):
        value = loaded(point)
        if isinstance(value, ModuleType):
            value = Path(value.__file__ or "").parent
        if not isinstance(value, (str, os.PathLike)) or not Path(value).is_dir():
            raise UserError(
                f"The plug-in '{point.name}' ({point.value}) has no folder of boards: its entry "
                f"point in {BOARDS} must be a package or the path of a folder."
            )
        folders.append(Path(value))
    return folders
