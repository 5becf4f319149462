"""``tvmc advise``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dero_tvm.driver.options import CompileOptions
from dero_tvm.report.advice_table import print_advice

from .command import Command
from .completion import complete_board
from .console import stdout_console
from .legacy import board_of_target
from .model_options import model_options
from .option_kinds import file_argument
from .progress import stages
from .start_tvm import start_tvm


@click.command("advise", cls=Command)
@file_argument("model")
@click.option(
    "--board",
    metavar="BOARD",
    required=True,
    shell_complete=complete_board,
    help="A board (tvmc boards) or its .toml file.",
)
@model_options("reserve", "input_shapes", "time_limit")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def advise_command(model: Path, board: str, as_json: bool, **chosen: Any) -> None:
    """Try every way of saving memory on MODEL, and say what each comes to on a board.

    \b
    Examples:
      tvmc advise model.tflite --board nrf52840dk
      tvmc advise model.onnx --board my-board.toml --reserve 16KB
    """  # noqa: D301 (click reads the escape)
    options = CompileOptions(target=board_of_target(board), **chosen)
    with stages() as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.advise import advise

        found = advise(model, options, progress=show)
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        print_advice(found, stdout_console())
