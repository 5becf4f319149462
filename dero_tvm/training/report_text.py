"""A reorganization's report as tables."""

from __future__ import annotations

import io
from collections import Counter

from rich.console import Console

from dero_tvm.report.table_parts import done, shown, table_of

from .joins import PartialChoice
from .report import ReorganizationReport

_WIDTH = 96
_MANY = 12  # so many rows of one kind are counted in a short report


def report_text(report: ReorganizationReport) -> str:
    """The whole report as plain text."""
    file = io.StringIO()
    print_reorganization(report, Console(file=file, width=_WIDTH), full=True)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    return "\n".join(lines).rstrip() + "\n"


def print_reorganization(
    report: ReorganizationReport, console: Console, *, full: bool = False
) -> None:
    """Memory and parameters, joins, shortcuts; `full` lists them all."""
    _print_summary(report, console)
    _print_decisions(report, console, full=full)
    _print_shortcuts(report, console, full=full)


def _print_summary(report: ReorganizationReport, console: Console) -> None:
    title = f"{shown(report.model)}, {report.kind}"
    numbers = tuple(report.arena_bytes)
    table = table_of(title, "", *numbers, numbers=numbers)
    table.add_row("arena, float32 bytes", *(f"{size:,}" for size in report.arena_bytes.values()))
    known = {"original": report.parameters_before, report.kind: report.parameters}
    table.add_row("parameters", *(f"{known[n]:,}" if n in known else "" for n in numbers))
    console.print(table)
    total = report.inherited + report.initialized
    console.print(
        f"[dim]Weights: {report.inherited:,} of {total:,} are the original's, "
        f"{report.initialized:,} are drawn at random.[/dim]",
        highlight=False,
    )
    if report.partial is not None:
        console.print(partial_text(report.partial), highlight=False, markup=False)
    console.print()


def partial_text(choice: PartialChoice) -> str:
    """Which joins were reorganized, and what that comes to, in sentences."""
    text = (
        f"{len(choice.joins)} of {choice.of} residual joins reorganized, the others exact: "
        f"{', '.join(shown(join) for join in choice.joins)}. Arena, {choice.precision}, rows "
        f"placed: {choice.before:,} bytes as it was, {choice.after:,} now"
    )
    if choice.capacity is not None:
        text += f"; {shown(choice.board)} has {choice.capacity:,} beside the stack"
    return f"{text}."


def _print_decisions(report: ReorganizationReport, console: Console, *, full: bool) -> None:
    counts = Counter(decision.action for decision in report.decisions)
    shown_decisions = [
        decision for decision in report.decisions if full or counts[decision.action] <= _MANY
    ]
    title = "what was done: " + ", ".join(f"{count} {action}" for action, count in counts.items())
    if not shown_decisions:
        console.print(f"[bold italic]{title}[/]", highlight=False)
        console.print()
        return
    table = table_of(title, "where", "what")
    for decision in shown_decisions:
        what = done(decision.action, decision.pass_name, decision.reason)
        table.add_row(shown(decision.join), what)
    console.print(table)
    console.print()


def _print_shortcuts(report: ReorganizationReport, console: Console, *, full: bool) -> None:
    kinds = Counter(", ".join(shortcut.steps) for shortcut in report.shortcuts)
    if not full:
        table = table_of("shortcuts", "convolutions", "shortcut", numbers=("convolutions",))
        for kind, count in kinds.most_common():
            table.add_row(str(count), kind)
        if report.without_shortcut:
            table.add_row(str(len(report.without_shortcut)), "none")
        console.print(table)
        console.print()
        return
    table = table_of("shortcuts", "convolution", "shortcut")
    for shortcut in report.shortcuts:
        table.add_row(shortcut.convolution, ", ".join(shortcut.steps))
    for path in report.without_shortcut:
        table.add_row(path, "none")
    console.print(table)
