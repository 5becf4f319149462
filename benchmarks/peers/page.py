"""The tables and the chart of the documentation's comparison page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dero_tvm.report.plot_file import reproducible

from ..figure_style import THEMES
from .networks import Network
from .result import Answer
from .tools import Tool

OWN = "dero_tvm"
Rows = Sequence[tuple[Network, Mapping[str, Answer]]]
_BAR = 0.26  # inches of height


def tables(rows: Rows, tools: Sequence[Tool], versions: Mapping[str, str], day: str) -> str:
    """What was measured, as Markdown."""
    lines = [
        f"As `python -m benchmarks.peers --write` printed it on {day}:",
        "",
        "| network | tool | bytes | | enough when run | outputs |",
        "|---|---|---:|---:|---|---|",
    ]
    for network, answers in rows:
        own = answers[OWN].bytes_
        for number, (name, answer) in enumerate(answers.items()):
            title = network.title if number == 0 else ""
            if answer.bytes_ is None or own is None:
                lines.append(f"| {title} | {name} | | | {answer.failure} | |")
                continue
            ratio = "" if name == OWN else f"x{answer.bytes_ / own:.2f}"
            cells = [title, name, f"{answer.bytes_:,}", ratio, answer.enough, answer.outputs]
            lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "What the figure of each tool counts:", ""]
    lines += [
        f"- {OWN} {versions[OWN]}: everything but the stack, in exactly that arena between guard "
        "bytes;"
    ]
    for tool in tools:
        lines.append(f"- [{tool.name}]({tool.url}) {versions.get(tool.name, '')}: {tool.counts};")
    lines[-1] = lines[-1][:-1] + "."
    return "\n".join(lines)


def chart(rows: Rows, path: Path, name: str) -> None:
    """Bars of each network's answers, its own on top, as shares of the largest."""
    from matplotlib.figure import Figure

    theme = THEMES[name]
    count = sum(len(shown(answers)) for _, answers in rows)
    height = (count + 1.6 * len(rows)) * _BAR
    with reproducible("peers"):
        figure = Figure(figsize=(8.0, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots(
            len(rows), height_ratios=[len(shown(answers)) + 0.6 for _, answers in rows]
        )
        for axis, (network, answers) in zip(axes, rows):
            bars = shown(answers)
            axis.set_title(network.title, loc="left", fontsize=9, color=theme.ink)
            colors = [theme.orange if tool == OWN else theme.gray for tool in bars]
            drawn = axis.barh(list(bars), list(bars.values()), color=colors, height=0.75)
            labels = [f"{value:,}" for value in bars.values()]
            axis.bar_label(drawn, labels, padding=4, fontsize=8, color=theme.ink)
            axis.set_xlim(0, max(bars.values()) * 1.15)
            axis.invert_yaxis()
            axis.set_axisbelow(True)
            axis.patch.set_alpha(0)
            axis.tick_params(axis="y", length=0, labelsize=8, labelcolor=theme.ink)
            axis.tick_params(axis="x", bottom=False, labelbottom=False)
            for spine in axis.spines.values():
                spine.set_visible(False)
        figure.savefig(path, format="svg")


def shown(answers: Mapping[str, Answer]) -> dict[str, int]:
    """The answers that there are."""
    return {name: a.bytes_ for name, a in answers.items() if a.bytes_ is not None}
