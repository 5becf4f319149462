"""The folder of ``--dump-ir``: what may be in it before, and how it is filled.

DIR/index.txt           all passes in the order in which they ran
00_imported.py
01_FoldConstants.py
stream/01_FoldPadding.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..boundary.atomic_write import write_atomically
from ..boundary.errors import UserError

INDEX = "index.txt"
HEADER = "The module behind each pass of one compilation, in the order in which they ran."
_MODULE = re.compile(r"\d{2,}_\w+\.py")


class DumpFolder:
    """A new or empty folder, or one with an earlier dump, which is replaced.

    Every file appears whole or not at all.  Nothing is touched before the first one is written.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError if `path` cannot be written, or has anything else in it."""
        self.path = path
        self._begun = False
        with _explained(path):
            if path.exists() and not path.is_dir():
                raise UserError(f"{path}: --dump-ir writes a folder, but this is a file")
            if not path.exists() and not path.parent.is_dir():
                raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
            if not os.access(path if path.exists() else path.parent, os.W_OK | os.X_OK):
                raise UserError(f"{path}: cannot be written")
            self._earlier()

    def write(self, name: str, text: str) -> None:
        """Write one file; UserError if that fails."""
        file = self.path / name
        with _explained(self.path):
            if not self._begun:
                self._begin()
            file.parent.mkdir(exist_ok=True)
        write_atomically(file, text.encode(errors="backslashreplace"))

    def _begin(self) -> None:
        earlier = self._earlier()
        for file in earlier:
            file.unlink()
        for folder in {file.parent for file in earlier} - {self.path}:
            folder.rmdir()
        self.path.mkdir(exist_ok=True)
        self._begun = True

    def _earlier(self) -> list[Path]:
        """The files of an earlier dump; UserError if there is anything else."""
        if not self.path.exists():
            return []
        files = []
        for entry in sorted(self.path.iterdir()):
            inside = entry.is_dir() and not entry.is_symlink()
            files += sorted(entry.iterdir()) if inside else [entry]
        index = self.path / INDEX
        ours = index.is_file() and index.read_text(errors="replace").startswith(HEADER)
        for file in files:
            if not ours or (file != index and not _MODULE.fullmatch(file.name)) or file.is_dir():
                raise UserError(
                    f"{self.path}: --dump-ir did not write what is in this folder "
                    f"({file.relative_to(self.path)}); give a new or an empty one"
                )
        return files


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
