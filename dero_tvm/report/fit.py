"""On which boards a network fits, as data.  All sizes are in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Need:
    """What the network takes of any board, with one choice of ``--dero`` and one set of kernels."""

    dero: str
    kernels: str  # "portable", or the features of the core that they use
    arena_bytes: int
    constants_bytes: int  # weights and tables
    code_bytes: int | None  # None: not measured
    code_note: str  # what measured the code, or why nothing did

    @property
    def flash_bytes(self) -> int:
        """Of the model alone, with the code if it was measured."""
        return self.constants_bytes + (self.code_bytes or 0)


@dataclass(frozen=True)
class Verdict:
    """Whether a board has room."""

    arenas: Mapping[str, int]  # by region; empty if they do not fit
    ram_left: int  # of the regions that hold an arena; negative: what is lacking
    flash_left: int  # negative: what is lacking

    @property
    def fits(self) -> bool:
        return self.ram_left >= 0 and self.flash_left >= 0


@dataclass(frozen=True)
class BoardFit:
    """One board, with no option and with ``--dero``."""

    board: str
    core: str
    ram_free: int  # of all regions, without the reserve
    flash: int
    plain: Verdict
    dero: Verdict
    least_ratio: float | None = None
    """Multiply-accumulates, as a multiple, with which `--memory-budget` may reach the board where
    `dero` lacks RAM: calculated from the bytes that are alive.  None if it lacks none, or nothing
    does."""

    @property
    def unlocked(self) -> bool:
        """Whether the network runs here with ``--dero`` alone."""
        return self.dero.fits and not self.plain.fits


@dataclass(frozen=True)
class Fit:
    """The answer of ``tvmc fit``; boards with little RAM come first."""

    model: str
    dero: str  # the choice that is compared with none
    reserve: int  # of each board's first region
    needs: tuple[Need, ...]  # with no option first; one of each for every set of kernels
    boards: tuple[BoardFit, ...]

    @property
    def unlocked(self) -> tuple[BoardFit, ...]:
        """The boards that ``--dero`` adds."""
        return tuple(entry for entry in self.boards if entry.unlocked)

    def to_json(self) -> str:
        """All of it as JSON, with a final newline."""
        return json.dumps(asdict(self), indent=2) + "\n"
