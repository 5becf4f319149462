"""The errors that a user meets: one line that says what is wrong and what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from .printable import printable

_P = ParamSpec("_P")
_R = TypeVar("_R")


_LONGEST_WORD = 1000  # characters; a name in a model file may be as long as the file


class _OneLine(Exception):
    """An error whose message is one line (line breaks are replaced by spaces).

    Of names that no terminal shows whole the middle is left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(printable(word, _LONGEST_WORD) for word in message.split()))


class UserError(_OneLine):
    """Something the user can mend: a file, a flag, an operator, a missing tool.

    The message names what it is about.  The command line prints it without a traceback.
    """


class InternalError(_OneLine):
    """A mistake of the compiler, or of a library below it.  The cause, if any, is its origin."""


# Of Python itself: they say something to who wrote the code, nothing to who runs it.
_SPEECHLESS = (
    *(AttributeError, IndexError, KeyError, NameError, RecursionError, UnboundLocalError),
    ZeroDivisionError,
)
# A TypeError may be of a library, which means the types of tensors, or of Python.
_OF_PYTHON = re.compile(
    r"' object |argument of type|operand type|NoneType|'\w+' and '\w+'|(positional|keyword) arg"
)
_UNKNOWN_FORM = "it has a form that is not supported"
_CHECK = re.compile(r"^.*?Check failed: ")
_CONDITION = re.compile(r" is false(?::|\.|$)| : |$")
_NOISE = re.compile(r"Traceback|File |\[|\d+: |at /|Stack trace")
# TVM prints an operator with all that it knows of it, and sizes with their types.
_OPERATOR = re.compile(r"^In ir\.Op\(.*?\bsupport_level=\d+\), ")
_SIZE = re.compile(r"\bT\.u?int\d+\((-?\d+)\)")


def first_line(error: BaseException, limit: int = 200) -> str:
    """The informative line of another library's exception, for use inside a :class:`UserError`.

    TVM puts C++ locations, tracebacks and the condition that was not met around its messages, and
    Python's own errors speak of the code that failed; what is left is what a reader can use.
    """
    speechless = isinstance(error, _SPEECHLESS) or (
        isinstance(error, TypeError) and _OF_PYTHON.search(str(error))
    )
    text = "" if speechless else _spoken(error)
    if not text:
        wordless = str(error) or isinstance(error, AssertionError)
        text = _UNKNOWN_FORM if wordless else type(error).__name__
    return _shortened(text, limit)


def internal_error(error: BaseException) -> InternalError:
    """What is said of an exception that nobody expected."""
    text = _shortened(_spoken(error), 200)
    kind = "TVM" if type(error).__module__.startswith("tvm") else type(error).__name__
    return InternalError(
        f"internal error: {kind}{': ' if text else ''}{text}; please report it as a bug, with the "
        "model and the traceback (which tvmc prints with --debug)"
    )


def _spoken(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    spoken = (_without_condition(line) for line in lines if line and not _NOISE.match(line))
    spoken = (_SIZE.sub(r"\1", _OPERATOR.sub("", line)) for line in spoken)
    return next((line for line in spoken if line), "")


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _without_condition(line: str) -> str:
    """What a failed check says beside the C++ condition; nothing where that is all it says."""
    check = _CHECK.match(line)
    if check is None:
        return line
    end = _CONDITION.search(line, check.end())
    assert end is not None  # it matches the end, too
    return line[end.end() :].strip()


def internal_errors(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator of what users call: only errors that are made for them come out.

    Everything else that is raised inside is a mistake, and becomes an :class:`InternalError` in
    one line, with the original as its cause.  What the machine lacks (memory, files) stays as it
    is.
    """

    @functools.wraps(function)
    def calling(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (UserError, InternalError, MemoryError, OSError):
            raise
        except Exception as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is None:
                raise  # in the call itself: arguments that the function does not have
            raise internal_error(error) from error

    return calling
