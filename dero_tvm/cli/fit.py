"""``tvmc fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dero_tvm.boards.board import load_board
from dero_tvm.boards.board_filter import known_boards, select_boards
from dero_tvm.driver.dero_levels import BARE
from dero_tvm.driver.options import CompileOptions
from dero_tvm.report.fit_table import print_fit

from .board_options import board_filter, board_filter_options
from .command import Command
from .completion import complete_board
from .model_options import dero_option, model_options
from .progress import stages
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
@model_options(
    *("input_shapes", "inputs", "outputs", "input_layout", "integer_io"),
    *("reserve", "time_limit"),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def fit_command(
    model: Path,
    names: tuple[str, ...],
    core: tuple[str, ...],
    feature: tuple[str, ...],
    min_ram: str | None,
    min_flash: str | None,
    as_json: bool,
    **chosen: Any,
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
    options = CompileOptions(**chosen)
    with stages() as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.board_fit import fit

        found = fit(model, options, boards=boards, progress=show)
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        print_fit(found, Console())
