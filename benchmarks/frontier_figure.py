"""Memory against work, beside what others published: the figure of docs/comparison.md.

    python benchmarks/frontier_figure.py

Lines are the plans in the tables of docs/memory.md, each of which was run; marks are figures that
others print, with what they count in `PUBLISHED`.  KB are 1,024 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure_style import THEMES, with_grid
from dero_tvm.boundary.atomic_write import write_atomically
from dero_tvm.report.plot_file import file_of, reproducible

ROOT = Path(__file__).resolve().parent.parent
COLORS = {"msf-CNN": "orange", "TinyEngine": "violet", "MCUNetV2": "green"}
MARKERS = {"msf-CNN": "^", "TinyEngine": "s", "MCUNetV2": "D"}
NETWORKS = ("MCUNet VWW", "MCUNet in3", "MobileNetV2 0.35, 144 px", "MobileNetV2 1.0, 224 px")
# By network: who, bytes, multiply-accumulates as a multiple.  msf-CNN: arXiv 2505.11483;
# TinyEngine: README of mit-han-lab/tinyengine, peak SRAM on an STM32H743; MCUNetV2: arXiv
# 2110.15352, of which the bytes are taken, and not how much work they cost.
PUBLISHED: dict[str, tuple[tuple[str, float, float | None], ...]] = {
    "MCUNet VWW": (
        ("msf-CNN", 26_128, 1.11),
        ("msf-CNN", 13_376, 1.35),
        ("msf-CNN", 12_000, 1.96),
        ("TinyEngine", 92e3, 1.0),
    ),
    "MCUNet in3": (
        ("msf-CNN", 94_184, 1.45),
        ("msf-CNN", 62_880, 2.02),
        ("msf-CNN", 42_643, 2.69),
        ("TinyEngine", 260e3, 1.0),
    ),
    "MobileNetV2 0.35, 144 px": (
        ("msf-CNN", 67_905, 1.10),
        ("msf-CNN", 21_288, 1.30),
        ("msf-CNN", 7_887, 1.68),
        ("TinyEngine", 295e3, 1.0),
    ),
    "MobileNetV2 1.0, 224 px": (("MCUNetV2", 172e3, None),),
}


def measured(network: str, page: str) -> Iterator[tuple[int, float]]:
    """Bytes and ratio of the plans of a network, in the first table of docs/memory.md."""
    for size, ratio in re.findall(
        rf"^\| {re.escape(network)}[^|]*\| ([\d,]+) \| [\d,]+ \| ([\d.]+) \|$", page, re.M
    ):
        yield int(size.replace(",", "")), float(ratio)


def draw(path: Path, page: str, name: str) -> None:
    """Write the figure, a panel a network, in the colours of `light` or `dark` pages."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    theme = THEMES[name]
    with reproducible("frontier"):
        figure = Figure(figsize=(8.0, 6.4), layout="constrained")
        figure.patch.set_alpha(0)
        for axis, network in zip(figure.subplots(2, 2).flat, NETWORKS, strict=True):
            axis.set_title(network, fontsize=9, color=theme.ink)
            plans = sorted(measured(network, page))
            xs, ys = [size / 1024 for size, _ in plans], [ratio for _, ratio in plans]
            axis.plot(
                xs, ys, "o-", color=theme.blue, markersize=4, linewidth=1, label="dero_tvm, run"
            )
            for who, size, ratio in PUBLISHED[network]:
                look = {"color": getattr(theme, COLORS[who]), "label": who}
                if ratio is None:
                    axis.axvline(size / 1024, linestyle=":", **look)
                else:
                    axis.plot(size / 1024, ratio, MARKERS[who], markersize=6, **look)
            axis.set_xscale("log")
            axis.set_xticks([8, 16, 32, 64, 128, 256])
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.minorticks_off()
            axis.set_xlabel("KB", fontsize=8, color=theme.ink)
            with_grid(axis, theme)
        for axis in figure.axes[::2]:
            axis.set_ylabel("multiply-accumulates, as a multiple", fontsize=8, color=theme.ink)
        found = {}
        for axis in figure.axes:
            handles, labels = axis.get_legend_handles_labels()
            found |= dict(zip(labels, handles))
        figure.legend(
            found.values(), found.keys(), loc="outside lower center", ncols=4, frameon=False,
            fontsize=8, labelcolor=theme.ink,
        )  # fmt: skip
        write_atomically(path, file_of(figure, path))


def main() -> None:
    """Draw it for light and dark pages."""
    page = (ROOT / "docs" / "memory.md").read_text()
    for theme in THEMES:
        draw(ROOT / "docs" / "images" / f"frontier-{theme}.svg", page, theme)


if __name__ == "__main__":
    main()
