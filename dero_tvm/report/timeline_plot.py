"""The memory timeline as a picture: as written, plain network, compiled, on one scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dero_tvm.boundary.printable import printable

from .data import Report
from .plot_file import check_matplotlib, check_plot, file_of, reproducible
from .timeline import ROLES, SHORTCUT, Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (8.0, 6.6)  # inches
_LONGEST_NAME = 60
COLORS = {
    "input": "#2f7ed8",
    "output": "#17936b",
    "intermediate": "#aab4c0",
    SHORTCUT: "#ec7433",
    "ring": "#7d63cc",
    "scratch": "#d7a71c",
}
_NAMES = {"intermediate": "tensor", SHORTCUT: "tensor kept for a residual join alone"}


def timeline_figure(report: Report) -> Figure:
    """Bytes alive during each step of three plans; UserError if matplotlib is not installed."""
    check_matplotlib("A plot")
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=_SIZE, layout="constrained")
    panels = figure.subplots(3, sharex=True, sharey=True)
    plans = (
        ("as written, every tensor whole", report.whole),
        ("plain network, residuals removed (another function)", report.plain),
        (f"compiled, --dero {report.dero}", report.timeline),
    )
    seen: set[str] = set()
    for axes, (title, timeline) in zip(panels, plans):
        seen |= _stack(axes, timeline)
        axes.set_title(f"{title}: {timeline.arena_bytes:,} bytes", loc="left", fontsize=10)
    panels[-1].set_xlabel("operators in order of execution")
    model, target = (printable(name, _LONGEST_NAME) for name in (report.model, report.target))
    figure.suptitle(_plain(f"{model} for {target}: bytes alive"), fontsize=11)
    handles = [
        Patch(facecolor=COLORS[role], hatch=_hatch(role), edgecolor="white", linewidth=0)
        for role in ROLES
        if role in seen
    ]
    names = [_NAMES.get(role, role) for role in ROLES if role in seen]
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
    for step in range(len(timeline.steps)):
        left, right = timeline.starts[step : step + 2]
        for layer in timeline.layers(step):
            if layer.own:
                role = timeline.buffers[layer.index].role(step)
                seen.add(role)
                axes.bar(
                    left,
                    layer.own,
                    width=right - left,
                    bottom=layer.bottom,
                    align="edge",
                    color=COLORS[role],
                    hatch=_hatch(role),
                    edgecolor="white",
                    linewidth=0.5,
                )
    axes.axhline(timeline.arena_bytes, color="black", linestyle="--", linewidth=0.9)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0)
    return seen


def _hatch(role: str) -> str | None:
    return "////" if role == "ring" else None


def _plain(text: str) -> str:
    """`text` without what matplotlib takes for mathematics."""
    return text.replace("$", r"\$")
