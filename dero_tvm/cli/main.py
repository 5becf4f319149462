"""Entry point of ``tvmc``."""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dero_tvm.boundary.installation import version

from .command import SETTINGS, plugin_option
from .failure import Terminated, report_failure, wants_traceback

_EPILOG = """\b
Examples:
  tvmc compile model.tflite --dero -o model.tar
  tvmc run model.tar --device qemu:mps2-an500 --inputs in.npz
  tvmc report model.tar --html report.html
"""

# Where each command is, and its line in the list of commands.  A command's module is imported
# when the command is used: TVM takes seconds to import, and `tvmc boards` does not need it.
_COMMANDS = {
    "compile": (".compile", "compile_command", "Compile a model file to C with one static arena."),
    "run": (".run", "run_command", "Run an archive, or a model file, and measure it."),
    "report": (".report", "report_command", "Show what is in memory when, and why."),
    "reorganize": (
        ".reorganize",
        "reorganize_command",
        "Rewrite a network's residuals for little memory, to be trained again.",
    ),
    "advise": (".advise", "advise_command", "Try every way of saving memory on a model."),
    "fit": (".fit", "fit_command", "Say on which boards a model runs."),
    "micro": (".micro", "micro_command", "Make, build and flash Zephyr, Arduino, bare projects."),
    "boards": (".boards", "boards_command", "List the boards that --target knows."),
    "completion": (".completion", "completion_command", "Print completions for a shell."),
}

# Commands of the old tvmc that say what takes their place; no list shows them.
_OLD_COMMANDS = {"tune": (".tune", "tune_command", "")}


class _Tvmc(click.Group):
    """The group of commands, which turns every failure into one line and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        commands = _COMMANDS | _OLD_COMMANDS
        if name not in commands:
            return None
        module, attribute, _ = commands[name]
        command = getattr(importlib.import_module(module, __package__), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            ctx.fail(f"No such command '{args[0]}'{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click itself would print an empty line
            raise click.exceptions.Abort from None

    def main(  # type: ignore[override]  # click's has parameters that are fixed here
        self, args: Sequence[str] | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command line and end the process with its exit status."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra = {**extra, "prog_name": "tvmc", "standalone_mode": False}
        try:
            status = super().main(arguments, **extra)
        except BaseException as error:
            status = report_failure(error, traceback=wants_traceback(arguments))
        sys.exit(status if isinstance(status, int) else 0)


@click.group(
    cls=_Tvmc,
    epilog=_EPILOG,
    context_settings=SETTINGS,
    no_args_is_help=True,
    params=[plugin_option()],
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.version_option(version(), prog_name="tvmc")
@click.option("-v", "--verbose", count=True, hidden=True, expose_value=False)  # the old tvmc's
def tvmc() -> None:
    """Compile trained networks into C for microcontrollers, in one minimal static arena."""


def main() -> None:
    """Run the command line; errors that the user can mend are one line on stderr."""
    _open_closed_streams()
    for name in ("SIGTERM", "SIGHUP"):  # Windows has only one
        number = getattr(signal, name, signal.SIGTERM)
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _terminate)
    tvmc()


def _open_closed_streams() -> None:
    """Started with a closed stream (``tvmc ... >&-``): what is written there goes nowhere.

    It takes the stream's own number, which would be that of the next file that is opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


def _terminate(number: int, _frame: object) -> NoReturn:
    """Unwind, so that compilers, emulators and temporary files go, too."""
    raise Terminated(number)


if __name__ == "__main__":
    main()
