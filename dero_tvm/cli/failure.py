"""From an exception to one line on stderr and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback as tracebacks
from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from dero_tvm.boundary.atomic_write import NO_TEMPORARY_FOLDER, no_temporary_folder
from dero_tvm.boundary.errors import InternalError, UserError, internal_error
from dero_tvm.boundary.printable import printable
from relax_passes.after_import import after_import

FAILED, MISUSED, INTERNAL, INTERRUPTED = 1, 2, 70, 130
"""Exit statuses: the user can mend it, the command line is wrong, our mistake, Ctrl-C."""


_NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
_LONGEST = 2000  # characters of a message; names in a model may be longer than that
_MOST_LINES = 20  # of what a compiler or an emulator printed


class Terminated(BaseException):
    """A signal asked the process to end.  Not an Exception: nothing shall take it for an error."""

    def __init__(self, number: int | str) -> None:
        super().__init__(number)
        self.number = int(number)  # out of a pass, which C++ runs, it comes as a text


def _known_to_tvm() -> None:
    import tvm

    tvm.error.register_error("Terminated", Terminated)


after_import("tvm.relax", _known_to_tvm)


def wants_traceback(arguments: Sequence[str]) -> bool:
    """Whether ``--debug`` or the environment asks for tracebacks."""
    return "--debug" in arguments or os.environ.get("TVMC_DEBUG", "0") not in ("", "0")


def report_failure(error: BaseException, *, traceback: bool = False) -> int:
    """Print why the command failed; returns the exit status.

    `traceback` prints the exception's traceback first.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx:
        click.echo(error.ctx.get_help(), err=True)
        return MISUSED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output, such as `head`, has enough.  Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if traceback:
        tracebacks.print_exception(error)
    message, status = _explain(error)
    for said in getattr(error, "details", "").strip().splitlines()[:_MOST_LINES]:
        click.echo(printable(said, _LONGEST), err=True)
    line = Text.assemble(
        ("tvmc: error: ", "bold red"), printable(" ".join(message.split()), _LONGEST)
    )
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if status == INTERRUPTED and console.is_terminal:
        console.print()  # the terminal has shown ^C
    console.print(line)
    return status


def _explain(error: BaseException) -> tuple[str, int]:
    if isinstance(error, (KeyboardInterrupt, click.exceptions.Abort)):
        return "interrupted", INTERRUPTED
    if isinstance(error, Terminated):
        return f"ended by {signal.Signals(error.number).name}", 128 + error.number
    if isinstance(error, InternalError):
        return str(error), INTERNAL
    if isinstance(error, UserError):
        return str(error), FAILED
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "tvmc"
        return f"{error.format_message().rstrip('.')} ({command} --help lists all)", MISUSED
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, MemoryError):
        return "this machine has not enough memory for the model", FAILED
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}: free some space, or set TMPDIR to another disk", FAILED
    if isinstance(error, OSError) and no_temporary_folder(error):
        return NO_TEMPORARY_FOLDER, FAILED
    if isinstance(error, FileNotFoundError) and error.filename is None:  # of os.getcwd
        return "the folder in which tvmc was started is gone: change to another", FAILED
    if isinstance(error, OSError) and error.errno in _NO_PATH and error.filename:
        return f"{error.filename}: {error.strerror}; give another path", FAILED
    return str(internal_error(error)), INTERNAL
