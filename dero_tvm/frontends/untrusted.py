"""While a file of unknown origin is read, no code that it brings along is run.

PyTorch reads the tensors of an exported program with its restricted unpickler, but falls back on
the unrestricted one, and evaluates expressions that the file holds.  Python's audit events say what
such code would do, before it does it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_DANGEROUS = (  # of Python's table of audit events
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill"),
    *("subprocess.Popen", "pty.spawn", "webbrowser.open"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "urllib.Request"),
    *("ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at"),
    *("os.rename", "os.link", "os.symlink", "os.chmod", "os.chown", "shutil.rmtree"),
    *("shutil.move", "shutil.copyfile", "cpython.run_command", "cpython.run_file"),
)
_reading = threading.local()
_installed = threading.Lock()


class ForbiddenAction(Exception):
    """What a file tried to do."""


@contextmanager
def untrusted() -> Iterator[None]:
    """In this block, and thread, the file's code that would act is a `ForbiddenAction`.

    So is each Python object in it other than those of which tensors consist.
    """
    if _installed.acquire(blocking=False):  # once: a hook cannot be removed
        sys.addaudithook(_watch)
    compiled, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # what PyTorch imports
    # The hook itself must not ask for this: finding it out for the first time opens files.
    _reading.temporary = os.path.realpath(tempfile.gettempdir())
    _reading.file = True
    try:
        yield
    finally:
        _reading.file = False
        sys.dont_write_bytecode = compiled


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not getattr(_reading, "file", False):
        return
    if event == "pickle.find_class":
        raise ForbiddenAction(f"it holds a Python object ({'.'.join(map(str, arguments))})")
    if event in _DANGEROUS or (event == "open" and _writes(*arguments)):
        raise ForbiddenAction(f"it would do {event}")


def _writes(path: object, mode: object, flags: object) -> bool:
    """Whether a file is written elsewhere than among temporary ones, where PyTorch has some."""
    if not isinstance(path, (str, bytes)) or not isinstance(flags, int):
        return False
    inside = os.path.realpath(os.fsdecode(path)).startswith(_reading.temporary + os.sep)
    return bool(flags & (os.O_WRONLY | os.O_RDWR)) and not inside
