"""The content of a file that a user names, within a limit."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from .errors import UserError


def whole_file(path: Path, largest: int) -> bytes:
    """The bytes of a plain file.

    Raises FileNotFoundError, or UserError if it cannot be read or has more than `largest` bytes.
    """
    try:
        size = size_of_plain_file(path)
        if size > largest:
            raise UserError(f"{path}: has {size} bytes, more than such a file can have ({largest})")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give a file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def size_of_plain_file(path: Path) -> int:
    """Its bytes.  UserError for a device or a pipe; OSError for a folder, or if there is none."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):  # one that never ends, or for which one would have to wait
        raise UserError(f"{path}: is no plain file")
    return found.st_size
