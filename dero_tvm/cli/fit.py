"""``tvmc fit``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dero_tvm.boards.board import Board, load_board
from dero_tvm.boards.board_filter import known_boards, select_boards
from dero_tvm.boundary.errors import UserError
from dero_tvm.driver.dero_levels import BARE
from dero_tvm.driver.options import CompileOptions
from dero_tvm.report.fit_table import print_fit
from dero_tvm.report.many_fits import print_fits

from .board_options import board_filter, board_filter_options
from .command import Command
from .completion import complete_board
from .console import stdout_console
from .model_options import dero_option, model_options
from .option_kinds import count_option, file_argument
from .progress import stages
from .start_tvm import start_tvm


@click.command("fit", cls=Command)
@file_argument("models", nargs=-1, required=True)
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
    *("input_shapes", "inputs", "outputs", "signature", "input_layout", "integer_io"),
    *("reserve", "time_limit"),
)
@count_option(
    "--jobs",
    default=1,
    least=1,
    help="Of several models: so many at a time, each in a process of its own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def fit_command(
    models: tuple[Path, ...],
    names: tuple[str, ...],
    core: tuple[str, ...],
    feature: tuple[str, ...],
    min_ram: str | None,
    min_flash: str | None,
    jobs: int,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Say on which boards MODELS run, with no option and with --dero.

    Of several models, a table has a line each.

    \b
    Examples:
      tvmc fit model.tflite
      tvmc fit model.tflite --dero accumulate --core cortex-m4
      tvmc fit model.onnx --board nucleo_f446re --board my-board.toml --reserve 16KB
      tvmc fit widths/*.onnx --board nrf52840dk --jobs 4
    """  # noqa: D301 (click reads the escape)
    boards = [load_board(name) for name in names] if names else known_boards()
    boards = select_boards(boards, board_filter(core, feature, min_ram, min_flash))
    options = CompileOptions(**chosen)
    if len(models) > 1:
        _fit_many(models, boards, options, jobs, as_json=as_json)
        return
    (model,) = models
    with stages() as show:
        show("starting TVM")
        start_tvm(model)
        from dero_tvm.driver.board_fit import fit

        found = fit(model, options, boards=boards, progress=show)
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        print_fit(found, stdout_console())


def _fit_many(
    models: Sequence[Path],
    boards: Sequence[Board],
    options: CompileOptions,
    jobs: int,
    *,
    as_json: bool,
) -> None:
    with stages() as show:
        show(f"{len(models)} models")
        start_tvm(models[0] if len({model.suffix for model in models}) == 1 else "model.pt2")
        from dero_tvm.driver.many_models import fit_all, processes

        with processes(min(jobs, len(models))) if jobs > 1 else nullcontext() as executor:
            answers = fit_all(
                models, executor=executor, progress=show, options=options, boards=boards
            )
    if as_json:
        found = [
            {
                "model": str(model),
                "fit": asdict(answer.result) if answer.result else None,
                "refusal": answer.refusal,
            }
            for model, answer in zip(models, answers)
        ]
        click.echo(json.dumps(found, indent=2))
    else:
        entries = [(m.name, answer.result, answer.refusal) for m, answer in zip(models, answers)]
        print_fits(entries, stdout_console())
    if not any(answer.result for answer in answers):
        raise UserError("none of the models could be planned")
