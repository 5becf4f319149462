"""Boards by the names that microTVM's projects had for them: Zephyr's and Arduino's."""

from __future__ import annotations

import re

from .board import Board, list_boards, load_board


def board_called(name: str) -> Board:
    """The board of that name, or the one that Zephyr or Arduino calls so, with any separators.

    ``nrf5340dk_nrf5340_cpuapp`` is Zephyr's ``nrf5340dk/nrf5340/cpuapp``; ``nano33ble`` the last
    part of Arduino's ``arduino:mbed_nano:nano33ble``.  Raises UserError if there is none.
    """
    if name not in list_boards() and not name.endswith(".toml"):
        wanted = _plain(name)
        for board in map(load_board, list_boards()):
            others = (board.name, board.zephyr, board.arduino, board.arduino.rpartition(":")[2])
            if wanted in map(_plain, filter(None, others)):
                return board
    return load_board(name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())
