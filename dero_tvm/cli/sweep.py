"""``tvmc report --sweep``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from rich.console import Console

from dero_tvm.boundary.atomic_write import write_atomically
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.printable import printable
from dero_tvm.report.plot_file import check_plot
from dero_tvm.report.sweep_plot import plot_sweep
from dero_tvm.report.sweep_table import print_sweep

from .command import NamesOption
from .completion import complete_device, complete_target
from .legacy import board_of_target
from .model_options import input_layout_option, input_shapes_option, integer_io_option
from .outputs import check_distinct, check_output
from .progress import stages
from .shapes import parse_input_shapes
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
    "limits": click.option(
        "--limits",
        metavar="N",
        type=click.IntRange(0, 64),
        default=4,
        show_default=True,
        help="With --sweep: how many streamed plans between.",
    ),
    "target": click.option(
        "--target",
        metavar="BOARD",
        default="host",
        shell_complete=complete_target,
        help="With --sweep: as in compile.",
    ),
    "input_shapes": input_shapes_option("With --sweep. "),
    "input_layout": input_layout_option("With --sweep. "),
    "stream_input": click.option(
        "--stream-input",
        cls=NamesOption,
        multiple=True,
        metavar="[=NAME]",
        help="With --sweep: as in compile.",
    ),
    "integer_io": integer_io_option("With --sweep. "),
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


def show_sweep(
    model: Path,
    *,
    as_json: bool,
    plot: Path | None,
    device: str | None,
    limits: int,
    target: str,
    input_shapes: str | None,
    input_layout: str,
    integer_io: bool,
    stream_input: bool | tuple[str, ...],
) -> None:
    """Sweep the plans of a model file and print, and with `plot` draw, what came out."""
    if plot is not None:
        check_plot(plot)
        check_output(plot, "plot")
        check_distinct({"SOURCE": model, "--plot": plot})
    shapes = parse_input_shapes(input_shapes)
    with stages() as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.trade_off import sweep

        found = sweep(
            model,
            device=device,
            limits=limits,
            progress=show,
            target=board_of_target(target),
            input_shapes=shapes,
            input_layout=input_layout,
            integer_io=integer_io,
            stream_input=stream_input,
        )
    if plot is not None:
        write_atomically(plot, plot_sweep(found, plot))
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    console = Console()
    print_sweep(found, console)
    if plot is not None:
        console.print(f"wrote {printable(str(plot))}", highlight=False, markup=False)
