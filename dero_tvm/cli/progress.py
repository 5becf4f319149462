"""What a terminal shows while the compiler works: its stages, and nothing of TVM's."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from .failure import wants_traceback


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Gives a function that shows the name of the stage which begins, with the time so far.

    It writes to stderr, if that is a terminal, and leaves nothing there.  What TVM's C++ code
    writes to stderr in the meantime, warnings that concern its developers, is dropped unless
    ``--debug`` asks for everything.
    """
    with _native_stderr_dropped() as terminal:
        console = Console(file=terminal)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        visible = console.is_terminal and not quiet
        with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
            task = progress.add_task("starting", total=None)
            yield lambda stage: progress.update(task, description=stage)


@contextmanager
def _native_stderr_dropped() -> Iterator[IO[str]]:
    """Send file descriptor 2 nowhere; gives a stream to where it pointed before."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, io.UnsupportedOperation):  # a stream in memory, as tests have it
        descriptor = None
    if descriptor is None or wants_traceback(sys.argv):
        yield sys.stderr
        return
    sys.stderr.flush()
    kept = os.dup(descriptor)
    with os.fdopen(kept, "w") as terminal, open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
        try:
            yield terminal
        finally:
            sys.stderr.flush()
            os.dup2(kept, descriptor)
