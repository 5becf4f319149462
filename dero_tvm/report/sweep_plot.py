"""A sweep as a picture: arena bytes against instructions."""

from __future__ import annotations

from pathlib import Path

from .plot_file import check_plot, file_of, reproducible
from .sweep import Sweep

_SIZE = (7.0, 4.5)  # inches


def plot_sweep(sweep: Sweep, path: Path) -> bytes:
    """The picture in the format of `path`'s name; the same bytes for the same sweep.

    Raises UserError as `check_plot` does.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    with reproducible(sweep.model):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{sweep.model} for {sweep.target}")
        axes.set_xlabel("arena (KB of 1,024 bytes)")
        scale = 1e6 if sweep.device else 1
        what = f"million instructions on {sweep.device}" if sweep.device else "kernel calls"
        axes.set_ylabel(f"{what}, per inference")
        front = sorted((p for p in sweep.points if p.pareto), key=lambda p: p.arena_bytes)
        axes.step(
            [p.arena_bytes / 1024 for p in front],
            [p.cost / scale for p in front],
            where="post",
            color="tab:blue",
            linewidth=1,
        )
        for point in sweep.points:
            at = (point.arena_bytes / 1024, point.cost / scale)
            color = "tab:blue" if point.pareto else "tab:gray"
            axes.plot(*at, "o", color=color)
            axes.annotate(
                point.label, at, textcoords="offset points", xytext=(6, 5), fontsize=8, color=color
            )
        for board in sweep.boards:
            room = board.ram_free / 1024
            axes.axvline(room, color="tab:green", linewidth=1, linestyle="--")
            axes.annotate(
                board.name,
                (room, 1),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                xytext=(-3, -3),
                rotation=90,
                ha="right",
                va="top",
                fontsize=8,
                color="tab:green",
            )
        axes.margins(x=0.2, y=0.15)
        axes.ticklabel_format(style="plain", useOffset=False)
        return file_of(figure, path)
