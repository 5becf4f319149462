"""The one exception whose text is meant for the user."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: a file, an operator, a flag.

    The message is one line that names the thing and says what to do.  The command line prints it
    without a traceback and exits with a non-zero status.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def first_line(error: BaseException, limit: int = 200) -> str:
    """The informative line of another library's exception, for use inside a :class:`UserError`.

    TVM puts C++ locations and tracebacks around its messages; the line that follows them is what
    a reader can use.
    """
    lines = [line.strip() for line in str(error).splitlines()]
    noise = ("Traceback", "File ", "Check failed", "[")
    useful = [line for line in lines if line and not line.startswith(noise)]
    text = useful[0] if useful else (lines[0] if lines else "") or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
