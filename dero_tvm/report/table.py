"""The report as tables on a terminal."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.runners import RunResult

from .data import Report


def print_report(report: Report, console: Console, *, steps: bool = False) -> None:
    """The arena before and after, what is alive at the peak, residuals; `steps` adds each step."""
    console.print(_summary(report))
    console.print(_peak(report))
    if report.residuals:
        console.print(_residuals(report))
    if steps:
        console.print(_steps(report))
    for refusal in report.plain_refusals:
        console.print(f"[dim]plain network keeps {escape(refusal)}[/dim]")
    for note in report.notes:
        console.print(f"[dim]note: {escape(note)}[/dim]")


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None
    )
    for column in columns:
        numeric = column in ("bytes", "live bytes", "MACs", "of whole")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return table


def _summary(report: Report) -> Table:
    table = _table(f"{escape(report.model)} for {report.target}", "arena", "bytes", "of whole", "")
    rows = (
        ("every tensor whole, as written", report.whole_bytes, ""),
        ("plain network, residuals removed", report.plain_bytes, "another function: a yardstick"),
        (f"[bold]--dero {report.dero}[/bold]", report.arena_bytes, _proofs(report)),
    )
    for label, size, remark in rows:
        share = f"{100 * size / report.whole_bytes:.0f} %" if report.whole_bytes else ""
        table.add_row(label, f"{size:,}", share, f"[dim]{escape(remark)}[/dim]")
    if len(report.regions) > 1:
        for region, size in report.regions.items():
            table.add_row(f"  in {escape(region)}", f"{size:,}", "", "")
    table.add_row("weights and tables (flash)", f"{report.constants_bytes:,}", "", "")
    return table


def _proofs(report: Report) -> str:
    return f"order {report.order_proof}; placement {report.placement_proof}"


def _peak(report: Report) -> Table:
    title = f"alive at the peak, in {escape(report.peak_step)}"
    table = _table(title, "buffer", "kind", "bytes")
    for buffer in report.peak_buffers:
        table.add_row(escape(buffer.label), buffer.kind, f"{buffer.size:,}")
    return table


def _residuals(report: Report) -> Table:
    table = _table(
        "residual joins", "join", "operator", "shortcut", "bytes", "what was done", "why"
    )
    for residual in report.residuals:
        table.add_row(
            escape(residual.join),
            residual.operator,
            residual.shortcut,
            f"{residual.bytes:,}",
            residual.action,
            escape(residual.reason),
        )
    return table


def _steps(report: Report) -> Table:
    table = _table("steps", "step", "operators", "live bytes", "MACs")
    for step in report.steps:
        mark = "[bold]" if step.name == report.peak_step else ""
        table.add_row(
            f"{mark}{escape(step.name)}",
            " + ".join(step.operators),
            f"{step.live_bytes:,}",
            f"{step.macs:,}",
        )
    return table


def print_run(
    archive: ModelArchive,
    result: RunResult,
    device: str,
    console: Console,
    *,
    top: int | None = None,
) -> None:
    """What a run gave and what it measured."""
    table = _table(f"run on {device}", "measure", "value")
    table.add_row("inferences", f"{len(result.outputs):,}")
    arena = ", ".join(f"{size:,} in {region}" for region, size in archive.arena_bytes.items())
    table.add_row("arena bytes", arena or "0")
    if result.instructions:
        low, high = min(result.instructions), max(result.instructions)
        text = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        table.add_row("instructions per inference", text)
    if result.stack_bytes is not None:
        table.add_row("stack bytes, deepest", f"{result.stack_bytes:,}")
    for title, sections in (("model", result.model_sections), ("image", result.image_sections)):
        if sections:
            text = ", ".join(f".{name} {size:,}" for name, size in sections.items())
            table.add_row(f"bytes of {title}", text)
    console.print(table)
    for name, array in result.outputs[0].items():
        console.print(f"{escape(name)} {array.dtype}{list(array.shape)}", highlight=False)
        if top:
            flat = array.ravel()
            for index in np.argsort(-flat.astype(np.float64), kind="stable")[:top]:
                console.print(f"  [{int(index)}] {flat[index]}", highlight=False, markup=False)
