"""What each step, and each operator in it, took beside what is planned, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from dero_tvm.runners import Profile, RunResult

from .breakdown import StepPart, breakdown
from .data import Report
from .measured import Measured
from .table_parts import shown, shown_layers, table_of


def measured_of(profile: Profile, device: str) -> Measured:
    """A run's profile as part of a report."""
    return Measured(
        device, profile.unit, len(profile.ticks), profile.means(), profile.operator_means()
    )


def print_profile(report: Report, result: RunResult, console: Console) -> None:
    """The steps of `report`, which has what the run measured, in order of execution."""
    profile, measured = result.profile, report.measured
    assert profile is not None and measured is not None
    assert len(report.steps) == len(measured.steps)
    total = sum(measured.steps)
    per_mac = "ns/MAC" if profile.unit == "ns" else "/MAC"
    numbers = (measured.column, "share", "MACs", per_mac, "bytes alive")
    table = table_of("profile of the steps", "step", *numbers, "operators", numbers=numbers)

    def add(name: str, value: float, macs: int, live: str, what: str, style: str = "") -> None:
        table.add_row(
            name,
            measured.shown(value),
            f"{100 * value / total:.1f} %" if total else "",
            f"{macs:,}",
            f"{value / macs:.1f}" if macs else "",
            live,
            escape(what),
            style=style,
        )

    steps = list(breakdown(report))
    for part in steps:
        step = part.step
        add(shown(step.name), part.measured or 0, step.macs, f"{step.live_bytes:,}", part.summary)
        for inner in part.operators if len(part.operators) > 1 else ():
            operator = inner.operator
            if inner.measured is not None:
                name = f"  {shown(operator.name)}"
                add(name, inner.measured, operator.macs, "", operator.operator, "dim")
    macs = sum(step.macs for step in report.steps)
    per = f"{total / macs:.1f}" if macs else ""
    together = measured.shown(total)
    table.add_row("[bold]together[/bold]", together, "", f"{macs:,}", per, "", "")
    console.print()
    console.print(table)
    count = len(profile.ticks)
    means_of = f"Means of {count} inferences" if count > 1 else "One inference"
    tick = f"{profile.resolution} {'ns' if profile.unit == 'ns' else 'instructions'}"
    console.print(f" [dim]{means_of}; the counter advances once in {tick}.[/dim]", highlight=False)
    if report.timeline.has_layers:
        layers = table_of("layers", "step", "of the model")
        for part in steps:
            for name, names in _layers(part):
                layers.add_row(name, shown_layers(names))
        console.print()
        console.print(layers)


def _layers(part: StepPart) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The layers of a step's operators; those of a single one by the step's name."""
    if len(part.operators) <= 1:
        yield shown(part.step.name), part.step.layers
        return
    yield shown(part.step.name), ()
    for inner in part.operators:
        if inner.operator.runs:
            yield f"  {shown(inner.operator.name)}", inner.operator.layers[:1]
