"""What tables on a terminal are made of."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from dero_tvm.boundary.printable import printable

from .layer_names import brief, few

LONGEST_NAME = 48


def table_of(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table; `numbers` are the columns that are right-aligned.

    Only the last column may wrap.
    """
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None
    )
    for column in columns:
        last = column == columns[-1] and column not in numbers
        justify: JustifyMethod = "right" if column in numbers else "left"
        table.add_column(column, justify=justify, no_wrap=not last, overflow="fold")
    return table


def shown(name: str) -> str:
    """A name from a model file, for use in a table."""
    return escape(printable(name, LONGEST_NAME))


def shown_layers(layers: Sequence[str]) -> str:
    """Layers of a model file in a column that wraps, for use in a table."""
    return escape(few([printable(brief(layer), LONGEST_NAME) for layer in layers]))


def done(action: str, decided_by: str, reason: str = "") -> str:
    """What was done, by which pass, and why, for use in a table."""
    text = f"{action} by {decided_by}" if decided_by else action
    return escape(printable(f"{text}: {reason}" if reason else text))


def remark(console: Console, text: str) -> None:
    """A dim line below a table."""
    console.print(Padding(f"[dim]{escape(printable(text))}[/dim]", (0, 1)), highlight=False)
