"""The error that a user meets: one line that says what is wrong and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: a file, a flag, an operator, a missing tool.

    The message is one line (line breaks are replaced by spaces) and names what it is about.  The
    command line prints it without a traceback.
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
