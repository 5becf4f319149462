"""What measuring kernels changed, as a table."""

from __future__ import annotations

from rich.console import Console

from .table_parts import remark, shown, table_of
from .tuning import ReportedTuning


def print_tuning(tuning: ReportedTuning, console: Console) -> None:
    """One line, and tables of the plans measured and of the operations that got another kernel."""
    if tuning.plans:
        numbers = ("arena", tuning.plans[0].unit)
        table = table_of("plans within the budget", "plan", *numbers, numbers=numbers)
        for plan in tuning.plans:
            table.add_row(plan.label, f"{plan.arena_bytes:,}", f"{plan.cost:,}")
        console.print(table)
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
    remark(console, f"Judged by {tuning.judge or tuning.unit}.")
    console.print()
