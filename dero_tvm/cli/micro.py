"""``tvmc micro``: projects for microcontrollers."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from dero_tvm.aot.archive import load_archive
from dero_tvm.boards.board import load_board
from dero_tvm.boundary.printable import printable
from dero_tvm.projects import KINDS, create_project

from .command import SETTINGS, Command
from .completion import complete_board


@click.group("micro", context_settings=SETTINGS, no_args_is_help=True)
def micro_command() -> None:
    """Make projects for microcontrollers."""


@micro_command.command("create-project", cls=Command)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("archive", type=click.Path(path_type=Path))
@click.option(
    "--board",
    metavar="BOARD",
    required=True,
    shell_complete=complete_board,
    help="A board (tvmc boards) or its .toml file.",
)
def create_project_command(kind: str, folder: Path, archive: Path, board: str) -> None:
    """Write a complete project around ARCHIVE, which tvmc compile wrote, into a new FOLDER.

    zephyr: an application, with the network as a module; arduino: a sketch; cmake: a program for
    the bare board, built with arm-none-eabi-gcc. Each serves the network to a host, which sends
    inputs and gets outputs.

    \b
    Examples:
      tvmc micro create-project zephyr app/ model.tar --board nrf52840dk
      tvmc micro create-project cmake app/ model.tar --board mps2-an500
    """  # noqa: D301 (click reads the escape)
    model = load_archive(archive)
    files = create_project(kind, folder, model, load_board(board), archive_name=archive.name)
    console = Console()
    console.print(
        f"wrote {len(files)} files into {printable(str(folder))}; "
        f"{printable(str(folder / 'README.md'))} says how to build and run them",
        highlight=False,
        markup=False,
    )
