"""What measuring kernels changed, as a table."""

from __future__ import annotations

from rich.console import Console

from .table import remark, shown, table_of
from .tuning import ReportedTuning


def print_tuning(tuning: ReportedTuning, console: Console) -> None:
    """One line, and a table of the operations that got another kernel."""
    if not tuning.measured + tuning.known:
        remark(console, "Tuned: no operator has more than one kernel on this target.")
        console.print()
        return
    if tuning.choices:
        numbers = ("before", "after")
        table = table_of(
            f"faster than the default kernel, {tuning.unit}",
            *("operation", "default", *numbers, "chosen"),
            numbers=numbers,
        )
        for choice in tuning.choices:
            table.add_row(
                f"{shown(choice.name)} [dim]{choice.operation.split(':')[0]}[/dim]",
                shown(choice.default),
                f"{choice.default_cost:,}",
                f"{choice.chosen_cost:,}",
                shown(choice.chosen),
            )
        console.print(table)
    differs = len(tuning.choices)
    remark(
        console,
        f"Tuned: {tuning.measured} kernels measured, {tuning.known} known from the cache; "
        f"{differs or 'no'} {'choice' if differs == 1 else 'choices'} other than the default.",
    )
    console.print()
