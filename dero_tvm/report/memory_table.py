"""What fits the board: each region and the flash, with headroom."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from dero_tvm.report.code_size import CodeSize

from .data import Report
from .table_parts import remark, shown, table_of


def print_memory(report: Report, code: CodeSize, console: Console) -> None:
    """RAM of each region and flash: used, capacity, headroom; and what is not counted."""
    numbers = ("used", "capacity", "headroom")
    table = table_of(f"memory of {shown(report.target)}", "", *numbers, numbers=numbers)
    reserved = 0
    for region in report.memory:
        used = region.used + region.reserved
        reserved += region.reserved
        table.add_row(f"RAM {shown(region.name)}", *_figures(used, region.capacity))
    if report.flash_capacity:
        _add_flash(table, report, code)
    console.print(table)
    first = report.memory[0].name
    if reserved:
        remark(
            console,
            f"{first}: {reserved:,} bytes of it are left to stack and application (--reserve).",
        )
    if report.flash_capacity and code.bytes is None:
        remark(console, f"Flash: weights alone; the code was not measured: {code.reason}.")
    elif report.flash_capacity:
        remark(
            console,
            f"Flash: the model alone; {code.bytes:,} bytes of it are code, measured with "
            f"{code.tool}. The application and the C library come on top.",
        )
    console.print()


def _add_flash(table: Table, report: Report, code: CodeSize) -> None:
    used = report.constants_bytes + (code.bytes or 0)
    label = "flash" if code.bytes is not None else "flash, without code"
    table.add_row(label, *_figures(used, report.flash_capacity))


def _figures(used: int, capacity: int) -> tuple[str, str, str]:
    headroom = f"{capacity - used:,}"
    if used > capacity:
        headroom = f"[bold red]{headroom}[/]"
    return f"{used:,}", f"{capacity:,}", headroom
