"""``tvmc boards``."""

from __future__ import annotations

import click

from dero_tvm.boards.board import load_board
from dero_tvm.boards.board_filter import known_boards, select_boards
from dero_tvm.boundary.errors import UserError
from dero_tvm.report.board_table import print_board, print_boards

from .board_options import board_filter, board_filter_options
from .command import Command
from .completion import complete_board
from .console import stdout_console


@click.command("boards", cls=Command)
@click.argument("board", required=False, shell_complete=complete_board)
@board_filter_options
def boards_command(
    board: str | None,
    core: tuple[str, ...],
    feature: tuple[str, ...],
    min_ram: str | None,
    min_flash: str | None,
) -> None:
    """List the boards that --target knows, or show all of one BOARD, with sources.

    \b
    Examples:
      tvmc boards --core cortex-m7 --min-ram 256KB
      tvmc boards --feature dsp --feature fpu-double
      tvmc boards stm32f746g_disco
      tvmc boards my-board.toml
    """  # noqa: D301 (click reads the escape)
    if board is None:
        wanted = board_filter(core, feature, min_ram, min_flash)
        print_boards(select_boards(known_boards(), wanted), stdout_console())
        return
    if core or feature or min_ram or min_flash:
        raise UserError(f"{board}: options that choose among boards do not go with one board")
    print_board(load_board(board), stdout_console())
