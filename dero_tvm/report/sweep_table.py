"""A sweep as a table on a terminal."""

from __future__ import annotations

from rich.console import Console

from dero_tvm.schedule.recompute_ratio import described_ratio

from .sweep import MarkedBoard, Sweep
from .table_parts import remark, shown, table_of


def print_sweep(sweep: Sweep, console: Console) -> None:
    """One row a plan; Pareto points carry a star."""
    cost = "instructions" if sweep.device else "kernel calls"
    numbers = ["arena", "%", cost, "% ", "streamed", *(["code"] if sweep.device else [])]
    title = f"{shown(sweep.model)} for {shown(sweep.target)}"
    table = table_of(title, "", "plan", *numbers, numbers=numbers)
    first = sweep.points[0]
    for point in sweep.points:
        cells = [
            "*" if point.pareto else "",
            shown(point.label),
            f"{point.arena_bytes:,}",
            _share(point.arena_bytes, first.arena_bytes),
            _rounded(point.cost),
            _share(point.cost, first.cost),
            str(point.streamed_operators or ""),
        ]
        if point.code_bytes is not None:
            cells.append(f"{point.code_bytes:,}")
        table.add_row(*cells, style="bold" if point.pareto else None)
    console.print(table)
    for text in _remarks(sweep):
        remark(console, text)


def _remarks(sweep: Sweep) -> list[str]:
    remarks = [
        "* No other plan is as small and as fast.",
        "Bytes of arena and code; operators that are streamed.",
    ]
    again = any(point.macs_again for point in sweep.points)
    besides = ", or, in windows of columns, in so many times as many" if again else ""
    macs = f"{sweep.macs:,} multiply-accumulates"
    remarks.append(f"All compute the same bits in {macs}{besides}.")
    if sweep.device:
        remarks.append(f"Instructions per inference on {sweep.device}.")
    if sweep.note:
        remarks.append(f"Note: {sweep.note}.")
    return [*remarks, *(_on_board(sweep, board) for board in sweep.boards)]


def _on_board(sweep: Sweep, board: MarkedBoard) -> str:
    """The fastest plan that fits a board; flash is not looked at."""
    point = sweep.first_on(board)
    room = f"{shown(board.name)} has {board.ram_free:,} bytes free: "
    if point is None:
        least = min(point.arena_bytes for point in sweep.points)
        return f"{room}{least - board.ram_free:,} less than the smallest of these plans needs."
    work = ""
    if point.macs_again:
        work = f", {described_ratio(sweep.ratio(point))}"
    return f"{room}{shown(point.label)}{work}."


def _rounded(count: int) -> str:
    """Four digits of it: ``91.51 M``."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.{max(4 - len(str(count // size)), 0)}f} {unit}"
    return f"{count:,}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else ""
