"""Accuracy against arena bytes: a point for each form and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dero_tvm.boundary.atomic_write import write_atomically
from dero_tvm.report.plot_file import file_of, reproducible

from ..figure_style import THEMES, with_grid
from .families import FAMILIES, Family, Form
from .pieces import Network, Start
from .table import Results, arena, convolutions, int8_accuracies


@dataclass(frozen=True)
class Series:
    """Points of one look."""

    label: str
    form: Form
    start: Start
    mode: str
    marker: str
    color: str  # of a theme
    filled: bool = True


SERIES = (
    Series("original, whole tensors", "original", "scratch", "tensors", "s", "gray"),
    Series("original, exact rows", "original", "scratch", "--dero", "D", "blue"),
    Series("plain, exact rows", "plain", "scratch", "--dero", "v", "violet"),
    Series("DERO, exact rows", "reorganized", "scratch", "--dero", "o", "orange"),
    Series("DERO, distilled", "reorganized", "distilled", "--dero", "o", "orange", filled=False),
)


def points(results: Results, family: Family, series: Series) -> Iterator[tuple[float, float]]:
    """Arena in KB of 1,024 bytes and int8 accuracy in percent, of the family's usual depth."""
    network = Network(family, family.blocks, series.form)
    size = arena(results, network, series.mode)
    if size is not None:
        for share in int8_accuracies(results, network, series.start).values():
            yield size / 1024, 100 * share


def draw(results: Results, path: Path, name: str) -> None:
    """Write the figure, a panel for each family, in the colours of `light` or `dark` pages."""
    from matplotlib.figure import Figure

    theme = THEMES[name]
    with reproducible("fashion-mnist"):
        figure = Figure(figsize=(8.0, 4.0), layout="constrained")
        figure.patch.set_alpha(0)
        for axis, family in zip(figure.subplots(1, len(FAMILIES), sharey=True), FAMILIES.values()):
            depth = convolutions(family, family.blocks)
            axis.set_title(
                f"{family.name} blocks, {depth} convolutions", fontsize=9, color=theme.ink
            )
            for series in SERIES:
                color = getattr(theme, series.color)
                _scatter(axis, list(points(results, family, series)), series, color)
            axis.set_xlabel("arena (KB of 1,024 bytes)", fontsize=8, color=theme.ink)
            axis.set_xlim(left=0)
            with_grid(axis, theme)
        figure.axes[0].set_ylabel("int8 test accuracy (%)", fontsize=8, color=theme.ink)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8,
            labelcolor=theme.ink,
        )  # fmt: skip
        write_atomically(path, file_of(figure, path))


def _scatter(axis: Any, found: list[tuple[float, float]], series: Series, color: str) -> None:
    axis.scatter(
        [x for x, _ in found],
        [y for _, y in found],
        s=26,
        marker=series.marker,
        facecolors=color if series.filled else "none",
        edgecolors=color,
        linewidths=1.2,
        label=series.label,
        clip_on=False,
        zorder=3,
    )
