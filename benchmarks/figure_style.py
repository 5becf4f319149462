"""What the documentation's figures look like, on light and on dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Theme:
    """Colours of a figure without a background of its own, each as ``#rrggbb``."""

    ink: str  # of words
    grid: str  # of frames, and of lines behind what is drawn
    gray: str
    blue: str
    violet: str
    orange: str
    green: str


THEMES = {
    "light": Theme("#24292f", "#d0d7de", "#8c959f", "#0969da", "#6e4a9e", "#b3541e", "#1a7f37"),
    "dark": Theme("#e6edf3", "#3d444d", "#8b949e", "#58a6ff", "#bc8cff", "#f0883e", "#3fb950"),
}


def with_grid(axis: Any, theme: Theme) -> None:
    """A quiet grid behind what is drawn on matplotlib's `axis`, for pages of any background."""
    axis.patch.set_alpha(0)
    axis.grid(color=theme.grid, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, labelcolor=theme.ink, color=theme.grid)
    for spine in axis.spines.values():
        spine.set_color(theme.grid)
