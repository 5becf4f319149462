"""The sine of each element, as a row kernel; importing this enters all that the package has."""

from pathlib import Path

from dero_tvm.boards.board_folders import add_boards

from . import frontend, kernel, operator  # noqa: F401

add_boards(Path(__file__).parent / "boards")
