"""A sweep as a picture: arena bytes against instructions."""

from __future__ import annotations

import io
from pathlib import Path

from dero_tvm.errors import UserError

from .sweep import Sweep

FORMATS = (".svg", ".png")
_SIZE = (7.0, 4.5)  # inches
_DOTS_PER_INCH = 150


def check_plot(path: Path) -> None:
    """Raises UserError if the name is of no known format or matplotlib is not installed."""
    if path.suffix not in FORMATS:
        raise UserError(f"--plot {path}: the name of a plot ends in {' or '.join(FORMATS)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(
            "--plot needs matplotlib, which is not installed: pip install 'dero-tvm[plot]'"
        ) from None


def plot_sweep(sweep: Sweep, path: Path) -> bytes:
    """The picture in the format of `path`'s name; the same bytes for the same sweep.

    Raises UserError as `check_plot` does.
    """
    check_plot(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": sweep.model, "svg.fonttype": "none"}):
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
        axes.margins(x=0.2, y=0.15)
        axes.ticklabel_format(style="plain", useOffset=False)
        buffer = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(
            buffer, format=path.suffix.removeprefix("."), dpi=_DOTS_PER_INCH, metadata=metadata
        )
    return buffer.getvalue()
