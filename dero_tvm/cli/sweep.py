"""``tvmc report --sweep``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from dero_tvm.boundary.atomic_write import write_atomically
from dero_tvm.boundary.errors import UserError
from dero_tvm.report.plot_file import check_plot
from dero_tvm.report.sweep_plot import plot_sweep
from dero_tvm.report.sweep_table import print_sweep

from .completion import complete_board, complete_device
from .console import stdout_console
from .model_options import model_option
from .option_kinds import count_option, say_written
from .outputs import check_distinct, check_output
from .progress import stages
from .start_tvm import start_tvm

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = {
    "device": click.option(
        "--device",
        metavar="DEVICE",
        shell_complete=complete_device,
        help="With --sweep: count instructions on qemu:BOARD, or none. Default: qemu:mps2-an500 "
        "where possible.",
    ),
    "limits": count_option(
        "--limits", default=4, most=64, help="With --sweep: how many streamed plans between."
    ),
    "twice": count_option(
        "--twice",
        default=0,
        most=64,
        help="With --sweep: how many smaller plans that make some things twice.",
    ),
    "boards": click.option(
        "--boards",
        metavar="BOARD",
        multiple=True,
        shell_complete=complete_board,
        help="With --sweep: say which plan fits BOARD, and mark it in the plot. May be repeated.",
    ),
    **{
        name: model_option(name, "With --sweep. ")
        for name in (
            "target",
            "input_shapes",
            "inputs",
            "outputs",
            "signature",
            "input_layout",
            "integer_io",
        )
    },
    "stream_input": model_option("stream_input", help="With --sweep: as in compile."),
}


def sweep_options(function: F) -> F:
    """The options that ``tvmc report`` has for ``--sweep`` alone."""
    for option in reversed(_OPTIONS.values()):
        function = option(function)
    return function


def refuse_sweep_options() -> None:
    """Raises UserError if the command line has one of them, but not ``--sweep``."""
    context = click.get_current_context()
    for name in _OPTIONS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise UserError(f"--{name.replace('_', '-')} belongs to --sweep, which is missing")


def show_sweep(model: Path, *, as_json: bool, plot: Path | None, **options: Any) -> None:
    """Sweep the plans of a model file and print, and with `plot` draw, what came out."""
    if plot is not None:
        check_plot(plot)
        check_output(plot, "plot")
        check_distinct({"SOURCE": model, "--plot": plot})
    with stages() as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.trade_off import sweep

        found = sweep(model, progress=show, **options)
    if plot is not None:
        write_atomically(plot, plot_sweep(found, plot))
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    console = stdout_console()
    print_sweep(found, console)
    say_written(console, plot)
