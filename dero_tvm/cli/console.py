"""Where tables go: the terminal, or a file or pipe without blanks at the ends of lines."""

from __future__ import annotations

import re
import sys
from typing import IO, Any, TextIO, cast

from rich.console import Console

_BLANKS = re.compile(r"[ \t]+(?=\r?\n)")


def stdout_console() -> Console:
    """A console on standard output.  A terminal gets what is printed, anything else less blanks.

    Tables fill their lines, so that a background colour would reach to the end; in a file that
    makes every comparison of two of them a nuisance.
    """
    return (
        Console()
        if sys.stdout.isatty()
        else Console(file=cast(IO[str], _WithoutBlanks(sys.stdout)))
    )


class _WithoutBlanks:
    """A stream that drops blanks before line breaks; Rich writes whole lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, without the blanks, and say that all of it was written."""
        self._stream.write(_BLANKS.sub("", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
