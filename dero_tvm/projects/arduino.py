"""An Arduino sketch.

Arduino builds whatever lies below ``src/`` with one set of flags and gives no way to define a
macro, so the network's library defines its arena itself, and that arena has to be in the memory
where Arduino keeps every variable.
"""

from __future__ import annotations

import re

from dero_tvm.boundary.errors import UserError

from .network_source import network_source
from .order import Order, model_files, protocol_files
from .templates import filled


def arduino_files(order: Order, folder: str) -> dict[str, str | bytes]:
    """The project's files by path; the sketch has the name of the `folder`, as Arduino wants it.

    Raises UserError if Arduino does not know the board, if an arena is planned for other memory
    than Arduino's, or if the folder's name is none for a sketch.
    """
    board = order.board
    if not board.arduino:
        raise UserError(
            f"Arduino's name of the board {board.name} is not known: give its TOML file an "
            "'arduino' field, or choose another board (tvmc boards)"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", folder):
        raise UserError(
            f"{folder}: Arduino wants a sketch's folder named with letters, digits, '_', '-' and "
            "'.', 63 at most"
        )
    for region in order.regions().values():
        if region != board.ram[0]:
            raise UserError(
                f"an arena lies in the region '{region.name}' of {board.name}, but Arduino keeps "
                f"all variables in '{board.ram[0].name}': compile the model smaller (--dero)"
            )
    values = order.values()
    return {
        f"{folder}.ino": filled("projects/arduino/sketch.ino.in", values),
        "README.md": filled("projects/arduino/README.md.in", values),
        "src/network.c": network_source(order.archive, None),
        **protocol_files("src"),
        **model_files(order.archive, "src", "src"),
    }
