"""What the axes of the documentation's figures look like."""

from __future__ import annotations

from typing import Any


def with_grid(axis: Any, ink: str, grid: str) -> None:
    """A quiet grid behind what is drawn on matplotlib's `axis`, for pages of any background."""
    axis.patch.set_alpha(0)
    axis.grid(color=grid, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, labelcolor=ink, color=grid)
    for spine in axis.spines.values():
        spine.set_color(grid)
