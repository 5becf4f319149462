"""``tvmc fit``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from dero_tvm.boards.board import load_board
from dero_tvm.boards.board_filter import known_boards, select_boards
from dero_tvm.driver.dero_levels import BARE, parse_dero
from dero_tvm.report.fit_table import print_fit

from .board_options import board_filter, board_filter_options
from .command import Command, dero_option
from .completion import complete_board
from .model_options import (
    input_layout_option,
    input_shapes_option,
    integer_io_option,
    reserve_option,
    time_limit_option,
)
from .progress import stages
from .shapes import parse_input_shapes
from .start_tvm import start_tvm


@click.command("fit", cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@dero_option(default=BARE.value, remark="Left out: the same.")
@click.option(
    "--board",
    "names",
    multiple=True,
    metavar="BOARD",
    shell_complete=complete_board,
    help="This board, by name or .toml file, and not all. May be repeated.",
)
@board_filter_options
@reserve_option("each board's first region")
@input_shapes_option()
@input_layout_option()
@integer_io_option()
@time_limit_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def fit_command(
    model: Path,
    dero: str,
    names: tuple[str, ...],
    core: tuple[str, ...],
    feature: tuple[str, ...],
    min_ram: str | None,
    min_flash: str | None,
    reserve: str,
    input_shapes: str | None,
    input_layout: str,
    integer_io: bool,
    time_limit: float,
    as_json: bool,
) -> None:
    """Say on which boards MODEL runs, with no option and with --dero.

    \b
    Examples:
      tvmc fit model.tflite
      tvmc fit model.tflite --dero accumulate --core cortex-m4
      tvmc fit model.onnx --board nucleo_f446re --board my-board.toml --reserve 16KB
    """  # noqa: D301 (click reads the escape)
    boards = [load_board(name) for name in names] if names else known_boards()
    boards = select_boards(boards, board_filter(core, feature, min_ram, min_flash))
    mode = parse_dero(dero)
    shapes = parse_input_shapes(input_shapes)
    with stages() as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.board_fit import fit

        found = fit(
            model,
            boards=boards,
            dero=mode,
            reserve=reserve,
            input_shapes=shapes,
            input_layout=input_layout,
            integer_io=integer_io,
            time_limit=time_limit,
            progress=show,
        )
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        print_fit(found, Console())
