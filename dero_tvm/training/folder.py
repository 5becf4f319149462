"""A new folder of files that appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dero_tvm.boundary.errors import UserError


def check_folder(path: Path) -> None:
    """Raises UserError if `path` exists or cannot be made; checked before the work."""
    if path.exists() or path.is_symlink():
        raise UserError(f"{path}: exists already; give the name of a new folder, or remove it")
    parent = path.parent
    if not parent.is_dir():
        raise UserError(f"{path}: the folder {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{path}: the folder {parent} cannot be written")


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder `path` with `files`; a failure is a UserError and leaves nothing behind."""
    check_folder(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tvmc-") as temporary:
            staged = Path(temporary, "folder")
            staged.mkdir()
            for name, data in files.items():
                (staged / name).write_bytes(data)
            staged.rename(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
