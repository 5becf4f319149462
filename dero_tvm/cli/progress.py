"""What a terminal shows while the compiler works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Gives a function that shows the name of the stage which begins, with the time so far.

    It writes to stderr, if that is a terminal, and leaves nothing there.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    visible = console.is_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda stage: progress.update(task, description=stage)
