"""What a run gave and what it measured, on a terminal."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.runners import RunResult

from .table_parts import shown, table_of

_FIRST = 6  # values of an output that are shown where nothing else is asked for


def print_run(
    archive: ModelArchive,
    result: RunResult,
    device: str,
    console: Console,
    *,
    top: int | None = None,
) -> None:
    """Measurements of a run, and of its first inference's outputs some values.

    These are the first ones of each, or the `top` largest.
    """
    table = table_of(f"run on {shown(device)}", "measure", "value", numbers=("value",))
    table.add_row("inferences", f"{len(result.outputs):,}")
    for region, size in archive.arena_bytes.items():
        table.add_row(f"arena in {shown(region)}, bytes", f"{size:,}")
    if result.stack_bytes is not None:
        table.add_row("stack at its deepest, bytes", f"{result.stack_bytes:,}")
    if result.stack_bound is not None:
        table.add_row("stack at most, bytes", f"{result.stack_bound.bytes:,}")
    for unit in ("instructions", "microseconds"):
        if counts := getattr(result, unit):
            low, high = min(counts), max(counts)
            text = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            table.add_row(f"{unit} per inference", text)
    console.print(table)
    _print_sections(result, console)
    console.print()
    for name, array in result.outputs[0].items():
        console.print(f" {shown(name)} {array.dtype}{list(array.shape)}", highlight=False)
        if top:
            flat = array.ravel()
            for index in np.argsort(-flat.astype(np.float64), kind="stable")[:top]:
                console.print(f"   [{int(index)}] {flat[index]}", highlight=False, markup=False)
        else:
            values = [f"{value:.6g}" for value in array.ravel()[:_FIRST].tolist()]
            more = ", ..." if array.size > _FIRST else ""
            text = f"   {', '.join(values)}{more}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)


def _print_sections(result: RunResult, console: Console) -> None:
    if not result.model_sections:
        return
    names = list(result.model_sections)
    columns = [f".{name}" for name in names]
    table = table_of("", "bytes of", *columns, numbers=columns)
    table.title = None
    for label, sections in (
        ("the model", result.model_sections),
        ("the whole program", result.image_sections),
    ):
        table.add_row(label, *(f"{sections.get(name, 0):,}" for name in names))
    console.print()
    console.print(table)
