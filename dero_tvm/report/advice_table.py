"""The ladder of ``tvmc advise`` on a terminal, readable at 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from .advice import Advice, Rung
from .table_parts import remark, shown, table_of


def print_advice(advice: Advice, console: Console) -> None:
    """A line for each way, the command lines below."""
    numbers = ("arena", "weights")
    title = f"{shown(advice.model)} on {shown(advice.board)}"
    table = table_of(title, "", "way", *numbers, "fits", "what it costs", numbers=numbers)
    for number, rung in enumerate(advice.rungs, 1):
        arena = "-" if rung.arena_bytes is None else f"{rung.arena_bytes:,}"
        weights = "-" if rung.arena_bytes is None else f"{rung.weights_bytes:,}"
        cost = f"{rung.cost}: {rung.note}" if rung.note else rung.cost
        row = (str(number), rung.lever, arena, weights, _verdict(rung), escape(cost))
        table.add_row(*row, style="bold" if rung is advice.first_fit else None)
    console.print(table)
    console.print()
    for number, rung in enumerate(advice.rungs, 1):
        if not rung.command:
            continue
        line = f" {number}  {rung.command}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print()
    best = advice.first_fit
    if best is None:
        remark(console, "Nothing here fits: a smaller network, or another board (tvmc fit).")
    else:
        remark(console, f"The first that fits: {best.lever}.")


def _verdict(rung: Rung) -> str:
    if rung.fits:
        return "[green]yes[/]"
    if rung.arena_bytes is None:
        return "[dim]-[/]"
    lacking = -min(rung.ram_free, 0) or -rung.flash_free
    return f"[dim]{'RAM' if rung.ram_free < 0 else 'flash'} -{lacking:,}[/]"
