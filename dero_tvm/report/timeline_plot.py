"""The memory timeline as a picture: as written, plain network, compiled, on one scale."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from dero_tvm.boundary.printable import printable

from .data import Report
from .plot_file import check_matplotlib, check_plot, file_of, reproducible
from .timeline import ROLES, Column, Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (8.0, 6.6)  # inches
_LONGEST_NAME = 60


def timeline_figure(report: Report) -> Figure:
    """Bytes alive during each step of three plans; UserError if matplotlib is not installed."""
    check_matplotlib("A plot")
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=_SIZE, layout="constrained")
    panels = figure.subplots(3, sharex=True, sharey=True)
    seen: set[str] = set()
    for axes, (_, title, timeline) in zip(panels, report.plans):
        seen |= _stack(axes, timeline)
        axes.set_title(f"{title}: {timeline.arena_bytes:,} bytes", loc="left", fontsize=10)
    panels[-1].set_xlabel("operators in order of execution")
    model, target = (printable(name, _LONGEST_NAME) for name in (report.model, report.target))
    figure.suptitle(_plain(f"{model} for {target}: bytes alive"), fontsize=11)
    shown = {role: about for role, about in ROLES.items() if role in seen}
    handles = [
        Patch(facecolor=about.light, hatch=_hatch(role), edgecolor="white", linewidth=0)
        for role, about in shown.items()
    ]
    names = [about.label for about in shown.values()]
    figure.legend(handles, names, loc="outside lower left", ncols=6, frameon=False, fontsize=8)
    return figure


def plot_timeline(report: Report, path: Path) -> bytes:
    """The picture in the format of `path`'s name; the same bytes for the same report.

    Raises UserError if the format is unknown or matplotlib is not installed.
    """
    check_plot(path)
    with reproducible(printable(report.model)):
        return file_of(timeline_figure(report), path)


def _stack(axes: Axes, timeline: Timeline) -> set[str]:
    """Draw the bars of one plan; returns the roles that occur."""
    seen = set()
    for column in timeline.columns():
        for role, bottom, own in _bars(column, merged=timeline.by_rows):
            seen.add(role)
            axes.bar(
                column.left,
                own,
                width=column.right - column.left,
                bottom=bottom,
                align="edge",
                color=ROLES[role].light,
                hatch=_hatch(role),
                edgecolor="white",
                linewidth=0 if timeline.by_rows else 0.5,
            )
    axes.axhline(timeline.arena_bytes, color="black", linestyle="--", linewidth=0.9)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0)
    return seen


def _bars(column: Column, *, merged: bool) -> Iterator[tuple[str, int, int]]:
    """Role, bottom and height of what is seen of a stack; `merged`: neighbours of one role are one.

    Of the calls of a row placement there are hundreds, with outlines that would hide them.
    """
    layers = [layer for layer in column.layers if layer.own]
    groups = groupby(enumerate(layers), key=lambda item: item[1].role if merged else item[0])
    for _, group in groups:
        found = [layer for _, layer in group]
        yield found[0].role, found[0].bottom, sum(layer.own for layer in found)


def _hatch(role: str) -> str | None:
    return "////" if role == "ring" else None


def _plain(text: str) -> str:
    """`text` without what matplotlib takes for mathematics."""
    return text.replace("$", r"\$")
