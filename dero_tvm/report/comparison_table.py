"""Two reports side by side on a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from dero_tvm.boundary.printable import printable

from .comparison import Comparison, OperatorFigures, OperatorPair
from .data import ReportedResidual
from .table_parts import remark, shown, table_of


def print_comparison(found: Comparison, console: Console) -> None:
    """Figures, joins and operators that differ, and what changed besides."""
    titles = [shown(title) for title in found.titles]
    table = table_of("side by side", "", *titles, "change", numbers=(*titles, "change"))
    for figure in found.figures:
        values = [figure.before, figure.after]
        if any(values):
            texts = ["" if value is None else f"{value:,.0f}" for value in values]
            table.add_row(escape(figure.name), *texts, figure.change)
    console.print(table)
    for text in found.changes:
        remark(console, f"{text[0].upper()}{text[1:]}.")
    console.print()
    if found.joins:
        joins = table_of("joins that were treated otherwise", "join", *titles)
        for pair in found.joins:
            joins.add_row(shown(pair.name), _join(pair.before), _join(pair.after))
        console.print(joins)
        console.print()
    moved = len(found.operators) - _print_operators(found, console)
    if moved:
        remark(console, f"{_operators(moved)} in another step, otherwise alike.")
    remark(console, f"{_operators(found.alike)} alike.")


def _operators(count: int) -> str:
    return "1 operator is" if count == 1 else f"{count} operators are"


def _join(residual: ReportedResidual | None) -> str:
    return "" if residual is None else escape(printable(residual.action))


def _print_operators(found: Comparison, console: Console) -> int:
    """Of each operator the figures that differ, as ``before -> after``; how many were listed."""
    columns: dict[str, Callable[[OperatorFigures], float | None]] = {
        "bytes": lambda o: o.held,
        "MACs": lambda o: o.macs,
        "flash": lambda o: o.flash,
    }
    if found.unit:
        columns[found.unit] = lambda o: o.measured
    rows = [
        (pair.name, [change(pair, value) for value in columns.values()]) for pair in found.operators
    ]
    rows = [row for row in rows if any(row[1])]
    kept = [i for i in range(len(columns)) if any(figures[i] for _, figures in rows)]
    numbers = [list(columns)[i] for i in kept]
    table = table_of("operators that differ", *numbers, "layer", numbers=numbers)
    for name, figures in rows:
        table.add_row(*(figures[i] for i in kept), shown(name))
    if rows:
        console.print(table)
    return len(rows)


def change(pair: OperatorPair, value: Callable[[OperatorFigures], float | None]) -> str:
    """``1,024 -> 512``; "" if it is the same."""
    texts = []
    for side in (pair.before, pair.after):
        found = None if side is None else value(side)
        texts.append("" if found is None else f"{found:,.0f}")
    return "" if texts[0] == texts[1] else f"{texts[0] or 'none'} -> {texts[1] or 'none'}"
