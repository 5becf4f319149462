"""Boards as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from dero_tvm.boards.board import FEATURES, Board
from dero_tvm.boundary.printable import printable

from .table_parts import shown, table_of

_WIDE = 120  # columns from which a description fits beside the figures
_UNITS = ((1024**2, "MB"), (1024, "KB"))


def size_text(count: int) -> str:
    """A size as data sheets write it: 256 KB, 2 MB; 1,000 B if it is no round number of KB."""
    for factor, unit in _UNITS:
        if count >= factor and count % factor == 0:
            return f"{count // factor:,} {unit}"
    if count % 1024 == 0 or count >= 1024**2:
        return f"{count / 1024:,.0f} KB"
    return f"{count:,} B"


def features_text(board: Board) -> str:
    """The features in a fixed order; a double-precision FPU stands for a single-precision one."""
    names = [name for name in FEATURES if name in board.features]
    if "fpu-double" in names:
        names.remove("fpu")
    return " ".join(names)


def print_boards(boards: Iterable[Board], console: Console) -> None:
    """One line a board; RAM is that of all regions together."""
    wide = console.width >= _WIDE
    columns = ["board", "core", "features", "RAM", "flash", *(["description"] if wide else [])]
    table = table_of("", *columns, numbers=("RAM", "flash"))
    table.title = None
    for board in boards:
        table.add_row(
            shown(board.name),
            shown(board.core),
            features_text(board),
            size_text(board.ram_bytes) if board.ram else "-",
            size_text(board.flash_bytes) if board.flash else "-",
            *([escape(printable(board.description))] if wide else []),
        )
    console.print(table)


def print_board(board: Board, console: Console) -> None:
    """All that is known of one board, each figure with its source."""
    facts = table_of(shown(board.name), "", " ")
    facts.show_header = False
    for name, value in (
        ("description", board.description),
        ("core", board.core),
        ("features", features_text(board) or "none"),
        ("flags", " ".join(board.flags) or "none"),
        ("alignment", f"{board.alignment} bytes"),
        ("source", board.source),
        ("Zephyr", board.zephyr or "not known there"),
        ("Arduino", board.arduino or "not known there"),
        ("emulated by", f"QEMU, {board.qemu.machine}" if board.qemu else "nothing known"),
    ):
        facts.add_row(name, escape(printable(value)))
    console.print(facts)
    if not board.ram:
        return
    memory = table_of("", "memory", "origin", "size", "source", numbers=("origin", "size"))
    memory.title = None
    for region in board.ram:
        memory.add_row(
            shown(region.name), f"{region.origin:#010x}", size_text(region.size),
            escape(printable(region.source)),
        )  # fmt: skip
    if board.flash:
        memory.add_row(
            "flash", f"{board.flash.origin:#010x}", size_text(board.flash.size),
            escape(printable(board.flash.source)),
        )  # fmt: skip
    if board.itcm:
        memory.add_row(
            "itcm", f"{board.itcm.origin:#010x}", size_text(board.itcm.size),
            escape(printable(board.itcm.source)),
        )  # fmt: skip
    console.print()
    console.print(memory)
