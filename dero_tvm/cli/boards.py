"""``tvmc boards``."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from dero_tvm.boards import list_boards, load_board

from .command import Command


@click.command("boards", cls=Command)
def boards_command() -> None:
    """List the boards that --target knows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("board", "core", "RAM", "flash", "description"):
        table.add_column(heading, justify="right" if heading in ("RAM", "flash") else "left")
    for board in map(load_board, list_boards()):
        ram = sum(region.size for region in board.ram)
        flash = board.flash.size if board.flash else 0
        table.add_row(board.name, board.core, _size(ram), _size(flash), board.description)
    Console().print(table)


def _size(count: int) -> str:
    return f"{count // 1024:,} KiB" if count else "-"
