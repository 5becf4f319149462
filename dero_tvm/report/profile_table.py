"""What each step took beside what is planned for it, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from dero_tvm.runners import Profile, RunResult

from .data import Report
from .text_table import shown, shown_layers, table_of


def print_profile(report: Report, result: RunResult, console: Console) -> None:
    """The steps of `report`, which the run measured, in order of execution."""
    profile = result.profile
    assert profile is not None and len(report.steps) == len(profile.ticks[0])
    means = profile.means()
    total = sum(means)
    what, per_mac = _columns(profile)
    numbers = (what, "share", "MACs", per_mac, "bytes alive")
    table = table_of("profile of the steps", "step", *numbers, "operators", numbers=numbers)
    for step, value in zip(report.steps, means, strict=True):
        table.add_row(
            shown(step.name),
            _shown(value, profile),
            f"{100 * value / total:.1f} %" if total else "",
            f"{step.macs:,}",
            f"{value / step.macs:.1f}" if step.macs else "",
            f"{step.live_bytes:,}",
            escape(step.summary),
        )
    macs = sum(step.macs for step in report.steps)
    per = f"{total / macs:.1f}" if macs else ""
    table.add_row("[bold]together[/bold]", _shown(total, profile), "", f"{macs:,}", per, "", "")
    console.print()
    console.print(table)
    count = len(profile.ticks)
    means_of = f"Means of {count} inferences" if count > 1 else "One inference"
    tick = f"{profile.resolution} {'ns' if profile.unit == 'ns' else 'instructions'}"
    console.print(f" [dim]{means_of}; the counter advances once in {tick}.[/dim]", highlight=False)
    if report.timeline.has_layers:
        layers = table_of("layers of the steps", "step", "of the model")
        for step in report.steps:
            layers.add_row(shown(step.name), shown_layers(step.layers))
        console.print()
        console.print(layers)


def _columns(profile: Profile) -> tuple[str, str]:
    return ("µs", "ns/MAC") if profile.unit == "ns" else ("instructions", "/MAC")


def _shown(value: float, profile: Profile) -> str:
    return f"{value / 1000:,.1f}" if profile.unit == "ns" else f"{value:,.0f}"
