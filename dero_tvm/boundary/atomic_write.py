"""Files, and folders of files, that appear whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import UserError


def write_atomically(path: Path, data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write `data`, or its pieces, to `path`; a failure is a UserError and leaves nothing."""
    with staged_write(path, data):
        pass


@contextmanager
def staged_write(path: Path, data: bytes | Iterable[bytes | memoryview]) -> Iterator[None]:
    """Write `data` beside `path`, and move it to `path` at the end of the block.

    If the block raises, or the data cannot be written, `path` is as it was.  A device or a pipe,
    such as ``/dev/stdout``, cannot be replaced: it is written at the end of the block.
    """
    pieces = [data] if isinstance(data, bytes) else data
    target = Path(os.path.realpath(path))  # a symbolic link stays, the file behind it is replaced
    if target.exists() and not target.is_file():
        yield
        with explained(path):
            with target.open("wb") as file:
                file.writelines(pieces)
        return
    with explained(path):
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tvmc-")
    try:
        with explained(path), os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        yield
        with explained(path):
            os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_folder(path: Path, files: Mapping[str, bytes], *, instead: bool = False) -> None:
    """Write files, by their path in it, to the folder `path`, all of them or none.

    A folder that is there stays, for a shell may be in it, and so do other files in it, unless the
    new ones are to be there `instead`.  A failure is a UserError.
    """
    with explained(path):
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tvmc-") as temporary:
            staged, removed = Path(temporary, "new"), Path(temporary, "old")
            staged.mkdir()
            removed.mkdir()
            for name, data in files.items():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).write_bytes(data)
            with _alone_in(path.parent):
                if not path.exists():
                    staged.rename(path)
                    return
                for old in list(path.iterdir()) if instead else ():
                    old.rename(removed / old.name)
                for made in sorted(staged.iterdir()):
                    made.replace(path / made.name)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Another process that moves files here waits, so that one's are not mixed with another's."""
    if sys.platform == "win32":  # where folders have no locks
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_new_folder(path: Path) -> None:
    """Raises UserError if `path` exists or cannot be made; checked before the work."""
    if path.exists() or path.is_symlink():
        raise UserError(f"{path}: exists already; give the name of a new folder, or remove it")
    check_parent(path)


def check_parent(path: Path) -> None:
    """Raises UserError if nothing can be written beside `path`."""
    parent = path.parent
    if not parent.is_dir():
        raise UserError(f"{path}: the folder {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{path}: the folder {parent} cannot be written")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """A failure to write `path` becomes a UserError."""
    try:
        yield
    except OSError as error:
        reason = NO_TEMPORARY_FOLDER if no_temporary_folder(error) else error.strerror or error
        raise UserError(f"{path}: cannot be written ({reason})") from None


NO_TEMPORARY_FOLDER = (
    "none of the folders for temporary files has room or may be written: free some space in "
    "/tmp, or set TMPDIR to another folder"
)


def no_temporary_folder(error: OSError) -> bool:
    """Whether Python found no folder for temporary files, which it calls a file that is missing."""
    return isinstance(error, FileNotFoundError) and "temporary directory" in str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
