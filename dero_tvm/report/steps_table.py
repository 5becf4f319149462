"""The steps of a plan on a terminal, each of several operators with these below it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from .breakdown import OperatorPart, StepPart, breakdown
from .data import Report
from .table_parts import done, remark, shown, shown_layers, table_of


def print_steps(report: Report, console: Console) -> None:
    """Bytes, rows, work and flash of each step and operator, without columns that are empty."""
    steps = list(breakdown(report))
    measured = report.measured
    heads = ["bytes", "rows", "MACs", "flash", "read", measured.column if measured else ""]
    rows = [row for step in steps for row in _rows(step, report)]
    kept = [i for i, head in enumerate(heads) if head and any(row[1][i] for row in rows)]
    numbers = [heads[i] for i in kept]
    table = table_of("steps", "step", *numbers, "operators", numbers=numbers)
    for name, figures, what, style in rows:
        table.add_row(name, *(figures[i] for i in kept), what, style=style)
    console.print(table)
    if "read" in numbers:
        remark(console, "read: from flash, weights and tables once for each row or window.")
    if any(len(step.operators) > 1 for step in steps):
        remark(
            console,
            "bytes: all that are alive during a step; below a step of several operators, of each "
            "one's result those that are there at once.",
        )
    console.print()


def _rows(step: StepPart, report: Report) -> list[tuple[str, list[str], str, str | None]]:
    """Name, figures, operators and style of the lines of a step."""
    style = "bold" if step.step.name == report.peak_step else None
    what = f"{escape(step.summary)} [dim]-> {shown(step.step.output)}[/dim]"
    if len(step.operators) == 1:
        what = _operator(step.operators[0])
    flash = step.weights + step.tables
    figures = [
        f"{step.step.live_bytes:,}",
        f"{step.operators[0].operator.rows}" if len(step.operators) == 1 else "",
        _count(step.step.macs),
        _count(flash),
        _count(step.flash_reads),
        _measured(report, step.measured),
    ]
    lines = [(shown(step.step.name), figures, what, style)]
    for part in step.operators if len(step.operators) > 1 else ():
        operator = part.operator
        figures = [
            _count(part.held),
            f"{operator.rows}",
            _count(operator.macs),
            _count(operator.weights + operator.tables),
            _count(operator.flash_reads),
            _measured(report, part.measured),
        ]
        lines.append((f"  {shown(operator.name)}", figures, _operator(part), "dim"))
    return lines


def _operator(part: OperatorPart) -> str:
    operator = part.operator
    text = f"{escape(operator.operator)} [dim]-> {shown(operator.output)}[/dim]"
    if operator.layers:
        text += f" {shown_layers(operator.layers[:1])}"
    if operator.action:
        text += f"; {done(operator.action, operator.decided_by, operator.reason)}"
    return text


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _measured(report: Report, value: float | None) -> str:
    if report.measured is None or value is None:
        return ""
    return report.measured.shown(value)
