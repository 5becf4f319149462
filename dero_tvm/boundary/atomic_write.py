"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`; a failure is a UserError and leaves nothing behind."""
    with staged_write(path, data):
        pass


@contextmanager
def staged_write(path: Path, data: bytes) -> Iterator[None]:
    """Write `data` beside `path`, and move it to `path` at the end of the block.

    If the block raises, or the data cannot be written, `path` is as it was.  A device or a pipe,
    such as ``/dev/stdout``, cannot be replaced: it is written at the end of the block.
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays, the file behind it is replaced
    if target.exists() and not target.is_file():
        yield
        with _explained(path):
            target.write_bytes(data)
        return
    with _explained(path):
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tvmc-")
    try:
        with _explained(path), os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        yield
        with _explained(path):
            os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
