"""``tvmc fit`` as tables on a terminal, readable at 80 columns."""

from __future__ import annotations

from rich.console import Console

from .fit import Fit, Verdict
from .table_parts import remark, shown, table_of

_WIDE = 96  # columns from which the core fits beside the figures
_SHOWN = 6  # names of boards in one sentence


def print_fit(fit: Fit, console: Console) -> None:
    """What the network needs, one line a board, and which boards ``--dero`` adds."""
    same = fit.dero == "none"
    wide = console.width >= _WIDE
    _print_needs(fit, console)
    columns = ["board", *(["core"] if wide else []), "RAM free", "flash", "no option"]
    if not same:
        columns.append(f"--dero {fit.dero}")
    again = any(entry.least_ratio is not None for entry in fit.boards)
    table = table_of("", *columns, numbers=("RAM free", "flash"))
    table.title = None
    table.columns[-1].no_wrap = True
    if again:
        table.add_column("twice", justify="right", no_wrap=True)
    for entry in fit.boards:
        table.add_row(
            shown(entry.board) + (" *" if entry.unlocked else ""),
            *([shown(entry.core)] if wide else []),
            _rounded(entry.ram_free),
            _rounded(entry.flash) if entry.flash else "-",
            _cell(entry.plain),
            *([] if same else [_cell(entry.dero)]),
            *([_ratio(entry.least_ratio)] if again else []),
            style="bold" if entry.unlocked else None,
        )
    console.print(table)
    if not same:
        remark(console, _unlocked(fit))
    if again:
        remark(
            console,
            "twice: with --memory-budget some things are made twice, and so many times the "
            "multiply-accumulates may do for the first region (calculated, without gaps between "
            "rows).",
        )
    remark(
        console,
        f"RAM free: all regions, without {fit.reserve:,} bytes of the first for stack and "
        "application (--reserve). yes: with so much left of the region that the arena takes; "
        "split: of several regions; no, flash: so much RAM or flash is lacking.",
    )


def _print_needs(fit: Fit, console: Console) -> None:
    measured = all(need.code_bytes is not None for need in fit.needs)
    numbers = ["RAM", "weights", *(["code"] if measured else [])]
    table = table_of(f"{shown(fit.model)} needs", "bytes", "kernels", *numbers, numbers=numbers)
    for need in dict.fromkeys(fit.needs):
        label = "no option" if need.dero == "none" else f"--dero {need.dero}"
        code = [f"{need.code_bytes:,}"] if measured else []
        table.add_row(
            label, need.kernels, f"{need.arena_bytes:,}", f"{need.constants_bytes:,}", *code
        )
    console.print(table)
    notes = "; ".join(dict.fromkeys(need.code_note for need in fit.needs))
    if measured:
        remark(console, f"Code of the model alone, measured with {notes}.")
    else:
        remark(console, f"Code is not counted in flash: {notes}.")
    console.print()


def _cell(verdict: Verdict) -> str:
    if verdict.ram_left < 0:
        return f"[dim]{'no':<5} -{_rounded(-verdict.ram_left)}[/]"
    if verdict.flash_left < 0:
        return f"[dim]{'flash':<5} -{_rounded(-verdict.flash_left)}[/]"
    word = "split" if len(verdict.arenas) > 1 else "yes"
    return f"[green]{word:<5} +{_rounded(verdict.ram_left)}[/]"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def _rounded(count: int) -> str:
    """In B, KB or MB, with a decimal where it is no whole number."""
    for factor, unit in ((1024**2, "MB"), (1024, "KB")):
        if count >= factor:
            text = f"{count / factor:,.1f}".removesuffix(".0")
            return f"{text} {unit}"
    return f"{count} B"


def _unlocked(fit: Fit) -> str:
    names = [entry.board for entry in fit.unlocked]
    if not names:
        return f"--dero {fit.dero} adds no board."
    listed = ", ".join(names[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")
    plural = "board" if len(names) == 1 else "boards"
    return f"* {len(names)} {plural} with --dero {fit.dero} alone: {listed}."
