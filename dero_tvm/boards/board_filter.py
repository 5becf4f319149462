"""Which of the known boards are meant: by core, features and sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..boundary.errors import UserError
from .board import FEATURES, Board, list_boards, load_board


@dataclass(frozen=True)
class BoardFilter:
    """What a board must have; the host, whose memory is not described, has none of it."""

    cores: Collection[str] = ()  # one of them; empty: any
    features: Collection[str] = ()  # all of them
    min_ram: int = 0  # bytes of all regions together
    min_flash: int = 0  # bytes

    def accepts(self, board: Board) -> bool:
        """Whether `board` has all of it."""
        return (
            (not self.cores or board.core in self.cores)
            and board.features.issuperset(self.features)
            and board.ram_bytes >= self.min_ram
            and board.flash_bytes >= self.min_flash
        )


def known_boards() -> list[Board]:
    """All known boards, sorted by name."""
    return [load_board(name) for name in list_boards()]


def select_boards(boards: Iterable[Board], wanted: BoardFilter) -> list[Board]:
    """Those of `boards` that `wanted` accepts, in their order.

    Raises UserError if it names a core that no board has or a feature that there is none of, or
    if nothing is left.
    """
    boards = list(boards)
    cores = sorted({board.core for board in boards})
    for core in wanted.cores:
        if core not in cores:
            raise UserError(f"--core {core}: no board has it; there are {', '.join(cores)}")
    for feature in wanted.features:
        if feature not in FEATURES:
            raise UserError(f"--feature {feature}: not one of {', '.join(FEATURES)}")
    selected = [board for board in boards if wanted.accepts(board)]
    if not selected:
        raise UserError("no board has all that is asked for; leave some of it out")
    return selected
