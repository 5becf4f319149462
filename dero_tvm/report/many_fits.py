"""The fits of several models in one table, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from dero_tvm.boundary.printable import printable

from .fit import Fit, Need
from .table_parts import remark, shown, table_of

_LONGEST_NAME = 24  # of a model's file


def print_fits(fits: Sequence[tuple[str, Fit | None, str]], console: Console) -> None:
    """For each model its name, and its fit or why it was refused."""
    dero = next((fit.dero for _, fit, _ in fits if fit), "none")
    numbers = ["no option", "--dero", "weights", "boards"]
    title = f"arenas with no option and with --dero {dero}"
    table = table_of(title, "model", *numbers, "smallest board", numbers=numbers)
    for name, fit, refusal in fits:
        name = escape(printable(name, _LONGEST_NAME))
        if fit is None:
            table.add_row(name, "", "", "", "", f"[red]{shown(refusal)}[/]")
            continue
        plain, best = (_least(fit, choice) for choice in ("none", fit.dero))
        on = [entry for entry in fit.boards if entry.dero.fits]
        table.add_row(
            name,
            f"{plain.arena_bytes:,}",
            f"{best.arena_bytes:,}",
            f"{best.constants_bytes:,}",
            f"{len(on)}",
            shown(on[0].board) if on else "[dim]none[/]",
        )
    console.print(table)
    remark(console, "Boards with --dero, of those that were looked at; tvmc fit MODEL has each.")


def _least(fit: Fit, dero: str) -> Need:
    """What the board with the least demanding kernels needs."""
    return min((n for n in fit.needs if n.dero == dero), key=lambda need: need.arena_bytes)
