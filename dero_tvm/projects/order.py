"""What the templates of all kinds of projects have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.boards.board import Board, Ram
from dero_tvm.runners.baremetal import place_arenas

from .templates import text_of

STACK = 4096
"""Bytes of the stack that the network and the program around it run on."""


@dataclass(frozen=True)
class Order:
    """What to make a project of; `archive_name` is what its README calls the archive's file."""

    archive: ModelArchive
    archive_name: str
    board: Board

    @property
    def name(self) -> str:
        return self.archive.name

    @property
    def alignment(self) -> int:
        """Of an arena, in bytes: what the board wants, and no less than the library's own."""
        return max(16, self.board.alignment)

    def regions(self) -> dict[str, Ram]:
        """The board's region for each arena; UserError if it has no room there.

        None for a board that is a program of this machine, whose memory is not described.
        """
        if not self.board.ram:
            return {}
        places = place_arenas(self.archive, self.board, reserve=STACK)
        return {arena: self.board.ram[index] for arena, index in places.items()}

    def values(self) -> dict[str, str]:
        """What ``@...@`` stands for in every kind of project."""
        return {
            "NAME": self.name,
            "MACRO": self.name.upper(),
            "BOARD": self.board.name,
            "CORE": self.board.core,
            "ZEPHYR_BOARD": self.board.zephyr,
            "ARDUINO_BOARD": self.board.arduino,
            "ARCHIVE": self.archive_name,
            "ARENAS": self._arenas(),
            "STACK": str(STACK),
        }

    def _arenas(self) -> str:
        regions = self.regions()
        used = ", ".join(
            f"{size:,} bytes" + (f" in `{regions[arena].name}`" if arena in regions else "")
            for arena, size in self.archive.arena_bytes.items()
        )
        return f"\nThe arena: {used}. The stack has {STACK:,} bytes." if used else ""


def kernels_of_other_cores(archive: ModelArchive, board: Board) -> str:
    """Why an archive is not for a board: it has kernels for a core with more than that; or "".

    They give the same bits there, as plain C, and take longer than the board's own.
    """
    sources = b"".join(archive.c_sources().values())
    used = {name.decode() for name in re.findall(rb"\b(dsp|fpu|mve)_\w+\(", sources)}
    missing = sorted(used - board.features)
    if not missing:
        return ""
    return (
        f"the archive has kernels for cores with {' and '.join(missing)}, which {board.name} has "
        f"not and where they are slow: compile the model with --target {board.name}"
    )


def protocol_files(folder: str) -> dict[str, str]:
    """The protocol's sources and headers, by their path in `folder` of the project."""
    names = ("network.h", "protocol.c", "protocol.h")
    return {f"{folder}/{name}": text_of(f"projects/protocol/{name}") for name in names}


def model_files(archive: ModelArchive, sources: str, headers: str) -> dict[str, bytes]:
    """The generated C, by its path in the project."""
    files = {f"{sources}/{name}": data for name, data in archive.c_sources().items()}
    files.update({f"{headers}/{name}": data for name, data in archive.c_headers().items()})
    return files


def listed(names: Mapping[str, object], prefix: str) -> str:
    """Source files as CMake lists them: one a line, indented."""
    return "".join(f"\n  {prefix}{name}" for name in sorted(names))
