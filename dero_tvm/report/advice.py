"""What each way of saving memory comes to for one network on one board, as data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Rung:
    """One way: what it leads to, what it costs, what to type.

    `arena_bytes` is None and `command` empty where there is no such way; `note` says why.
    """

    lever: str
    arena_bytes: int | None
    weights_bytes: int
    ram_free: int  # negative: lacking
    flash_free: int
    cost: str
    command: str
    note: str = ""

    @property
    def fits(self) -> bool:
        """Whether the board has room."""
        return self.arena_bytes is not None and self.ram_free >= 0 and self.flash_free >= 0


@dataclass(frozen=True)
class Advice:
    """The ladder: what costs nothing first, what changes the network last."""

    model: str
    board: str
    rungs: tuple[Rung, ...]

    @property
    def first_fit(self) -> Rung | None:
        """The first way that fits."""
        return next((rung for rung in self.rungs if rung.fits), None)

    def to_json(self) -> str:
        """All of it as JSON, with a final newline."""
        return json.dumps(asdict(self), indent=2) + "\n"
