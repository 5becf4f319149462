"""The report as tables on a terminal, readable at 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from dero_tvm.boundary.printable import printable

from .data import Report, ReportedResidual, ReportedShortcut
from .join_stories import JoinStory, join_stories
from .layer_names import brief
from .steps_table import print_steps
from .table_parts import LONGEST_NAME, done, remark, shown, shown_layers, table_of

_MANY_JOINS = 12  # beyond so many, a short report counts those that cost nothing
_LONGEST_JOIN = 26  # the name of a join's layer


def print_report(report: Report, console: Console, *, steps: bool = False) -> None:
    """The arena before and after, what is alive at the peak, residuals; `steps` adds each step."""
    _print_summary(report, console)
    _print_peak(report, console)
    if report.shortcuts:
        _print_shortcuts(report, console, all_of_them=steps)
    if report.residuals:
        _print_residuals(report, console, all_of_them=steps)
    if steps:
        print_steps(report, console)
    for refusal in report.plain_refusals:
        remark(console, f"The plain network keeps {refusal}")
    for note in report.notes:
        remark(console, f"Note: {note}")


def with_layer(report: Report, tensor: str) -> str:
    """A tensor with the layer that it is named after."""
    layer = report.layer(tensor)
    return f"{tensor} ({brief(layer)})" if layer else tensor


def _used_regions(report: Report) -> dict[str, int]:
    return {region: size for region, size in report.regions.items() if size}


def _print_summary(report: Report, console: Console) -> None:
    title = f"{shown(report.model)} for {shown(report.target)}"
    numbers = ("bytes", "of whole")
    table = table_of(title, "arena", *numbers, numbers=numbers)
    for label, size in (
        ("every tensor whole, as written", report.whole_bytes),
        ("plain network, residuals removed", report.plain_bytes),
        (f"[bold]--dero {report.dero}[/bold]", report.arena_bytes),
    ):
        share = f"{100 * size / report.whole_bytes:.0f} %" if report.whole_bytes else ""
        table.add_row(label, f"{size:,}", share)
    regions = _used_regions(report)
    if len(regions) > 1:
        for region, size in regions.items():
            table.add_row(f"  in {shown(region)}", f"{size:,}", "")
    if report.state_bytes:
        table.add_row("  of which state, between inferences", f"{report.state_bytes:,}", "")
    table.add_row("weights and tables (flash)", f"{report.constants_bytes:,}", "")
    if report.table_bytes:
        table.add_row("  of which tables of rows", f"{report.table_bytes:,}", "")
    table.add_row("read from flash in an inference", f"{report.flash_reads:,}", "")
    console.print(table)
    cost = f", at {report.recompute}" if report.recompute else ""
    remark(console, f"Chosen: {report.chosen}{cost}.")
    for about, known in report.proofs:
        remark(console, f"{about}: {known}.")
    if report.plain_bytes != report.whole_bytes:
        remark(console, "The plain network computes something else: it is a baseline.")
    for port in report.ports:
        if port.meaning or port.dtype != "float32":
            name = printable(port.name, LONGEST_NAME)
            what = f"{port.type}, {port.meaning}" if port.meaning else port.type
            remark(console, f"{port.kind.capitalize()} {name}: {what}.")
    console.print()


def _print_peak(report: Report, console: Console) -> None:
    several = len(_used_regions(report)) > 1
    columns = ["kind", *(["region"] if several else []), "offset", "bytes", "buffer"]
    title = f"alive at the peak, in {shown(with_layer(report, report.peak_step))}"
    table = table_of(title, *columns, numbers=("offset", "bytes"))
    for b in report.peak_buffers:
        place = [shown(b.region)] if several else []
        buffer = f"{shown(b.label)} [dim]{shown_layers(b.layers)}[/dim]".strip()
        table.add_row(b.kind, *place, f"{b.offset:,}", f"{b.size:,}", buffer)
    if len(report.peak_buffers) > 1:
        shared = report.peak_bytes < sum(b.size for b in report.peak_buffers)
        remark = "[dim]shared bytes counted once[/dim]" if shared else ""
        blanks = [""] * (columns.index("bytes") - 1)
        total = f"[bold]{report.peak_bytes:,}[/bold]"
        table.add_row("[dim]together[/dim]", *blanks, total, remark)
    console.print(table)
    console.print()


def _print_residuals(report: Report, console: Console, *, all_of_them: bool) -> None:
    residuals = report.residuals
    listed = list(residuals)
    if not all_of_them and len(listed) > _MANY_JOINS:
        listed = [r for r in listed if r.action == "left alone"]
    title = f"{len(residuals)} residual join{'s' if len(residuals) > 1 else ''}"
    if len(listed) < len(residuals):
        title += f": {_counts(residuals)}"
    table = table_of(title, "join", "shortcut", "bytes", "what was done", numbers=("bytes",))
    stories = {story.residual.join: story for story in join_stories(report) if all_of_them}
    for r in listed:
        layer = printable(brief(report.layer(r.join)), _LONGEST_JOIN)
        table.add_row(
            f"{shown(r.join)} [dim]{escape(r.operator)}[/dim] {escape(layer)}".rstrip(),
            escape(r.shortcut),
            f"{r.bytes:,}",
            done(r.action, r.decided_by, r.reason) + _story(stories.get(r.join)),
        )
    if listed:
        console.print(table)
    else:
        console.print(f"[bold italic]{title}[/]", highlight=False)
    console.print()


def _story(story: JoinStory | None) -> str:
    """What a join costs and why it is unlike its neighbour, for use in a table."""
    if story is None:
        return ""
    texts = filter(None, (story.consequence, story.contrast))
    return escape(printable("".join(f"; {text}" for text in texts)))


def _print_shortcuts(report: Report, console: Console, *, all_of_them: bool) -> None:
    shortcuts = report.shortcuts
    title = f"{len(shortcuts)} shortcut{'s' if len(shortcuts) > 1 else ''} over a convolution: "
    title += _counts(shortcuts)
    listed = [s for s in shortcuts if all_of_them or s.action == "left alone"]
    if not listed:
        console.print(f"[bold italic]{title}[/]\n", highlight=False)
        return
    table = table_of(title, "join", "what was done")
    for s in listed:
        name = shown(with_layer(report, s.join))
        table.add_row(name, done(s.action, s.decided_by, s.reason))
    console.print(table)
    console.print()


def _counts(decided: Iterable[ReportedResidual | ReportedShortcut]) -> str:
    counts = Counter(done(entry.action, entry.decided_by) for entry in decided)
    return ", ".join(f"{count} {what}" for what, count in counts.items())
