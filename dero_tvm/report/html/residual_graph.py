"""The network as a list of operators, with arcs beside it for edges that skip some.

Arcs lie in lanes to the left of the list, the shortest nearest to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dero_tvm.report.data import Report
from dero_tvm.report.join_stories import join_stories
from dero_tvm.report.operators import Edge, ReportedOperator, edges

ROW = 26  # pixels, of one operator
_LANE = 11  # pixels between lanes
_MARGIN = 9
_MOST_LANES = 10
_ROUNDING = 9

ACTIONS = {
    "accumulated": "accumulated",
    "streamed": "streamed",
    "in place": "in-place",
    "removed": "removed",
    "fused": "fused",
    "left alone": "left-alone",
}
HARMLESS = "harmless"
"""What was done to a residual join, or to a shortcut over one convolution -> CSS class."""


@dataclass(frozen=True)
class Arc:
    """A tensor from one operator to another: an SVG path and its class."""

    path: str
    style: str
    source: int = 0
    target: int = 0


@dataclass(frozen=True)
class Row:
    """An operator in the list; `group` is "first", "inner" or "last" inside a cascade."""

    operator: ReportedOperator
    action: str  # what was done to it, if a pass decided on it
    reason: str
    decided_by: str
    style: str  # of the action
    group: str
    y: float
    story: str = ""  # what a join costs


@dataclass(frozen=True)
class Graph:
    """The list with its arcs, sizes in pixels."""

    rows: tuple[Row, ...]
    arcs: tuple[Arc, ...]
    spine: float  # x of the list's dots
    links: tuple[Arc, ...]  # between neighbours
    width: float
    height: float
    counts: tuple[tuple[str, str, int], ...]  # action, class, operators


def residual_graph(report: Report) -> Graph:
    """The graph of the network that the code was generated from."""
    joins = {residual.join: residual for residual in report.residuals}
    stories = {story.residual.join: story for story in join_stories(report)}
    styles = {
        name: style_of(story.residual.action, story.harmless) for name, story in stories.items()
    }
    own = {shortcut.join: shortcut for shortcut in report.shortcuts}
    paths = [(r.join, path) for r in report.residuals for path in r.shortcuts]
    found = edges(report.operators, paths)
    skipping = [edge for edge in found if edge.target - edge.source > 1]
    lanes = _lanes(skipping)
    used = max(lanes, default=-1) + 1
    spine = _MARGIN + used * _LANE
    rows = []
    for number, operator in enumerate(report.operators):
        decided = joins.get(operator.name) or own.get(operator.name) or operator
        style = style_of(decided.action) if decided.action else ""
        style = styles.get(operator.name, style)
        story = stories[operator.name].consequence if operator.name in stories else ""
        group = _group(report.operators, number)
        why = decided.action, decided.reason, decided.decided_by
        rows.append(Row(operator, *why, style, group, _y(number), story))

    def colour(edge: Edge) -> str:
        return styles.get(edge.join, "plain")

    arcs = [
        Arc(_arc(spine, edge, lane), colour(edge), edge.source, edge.target)
        for edge, lane in zip(skipping, lanes)
    ]
    arcs.sort(key=lambda arc: arc.style != "plain")  # residuals in front
    links = [
        Arc(f"M{spine:g} {_y(edge.source):g}V{_y(edge.target):g}", colour(edge))
        for edge in found
        if edge.target == edge.source + 1
    ]
    counts = Counter((row.action, row.style) for row in rows if row.action)
    return Graph(
        tuple(rows),
        tuple(arcs),
        spine,
        tuple(links),
        spine + _MARGIN,
        ROW * len(rows),
        tuple(
            (f"{action}, at no cost" if style == HARMLESS else action, style, count)
            for (action, style), count in counts.items()
        ),
    )


def style_of(action: str, harmless: bool = False) -> str:
    """The CSS class of what was done to a join; `harmless`: left alone at no cost."""
    return HARMLESS if harmless else ACTIONS.get(action, "other")


def _y(number: int) -> float:
    return ROW * (number + 0.5)


def _group(operators: Sequence[ReportedOperator], number: int) -> str:
    """The place of an operator in a cascade of several."""
    step = operators[number].step
    before = number > 0 and operators[number - 1].step == step
    after = number + 1 < len(operators) and operators[number + 1].step == step
    if step < 0 or not (before or after):
        return ""
    return "inner" if before and after else "last" if before else "first"


def _lanes(skipping: Iterable[Edge]) -> list[int]:
    """A lane for each edge so that arcs of one lane do not meet, short arcs innermost."""
    ordered = sorted(enumerate(skipping), key=lambda item: item[1].target - item[1].source)
    taken: list[list[tuple[int, int]]] = []
    lanes = [0] * len(ordered)
    for index, edge in ordered:
        lane = 0
        while lane < len(taken) and any(
            max(s, edge.source) < min(t, edge.target) for s, t in taken[lane]
        ):
            lane += 1
        lane = min(lane, _MOST_LANES - 1)  # a network of many: the outermost is shared
        if lane == len(taken):
            taken.append([])
        taken[lane].append((edge.source, edge.target))
        lanes[index] = lane
    return lanes


def _arc(spine: float, edge: Edge, lane: int) -> str:
    x = spine - _LANE * (lane + 1)
    top, bottom = _y(edge.source), _y(edge.target)
    r = min(_ROUNDING, (bottom - top) / 2, spine - x)
    return (
        f"M{spine:g} {top:g}H{x + r:g}Q{x:g} {top:g} {x:g} {top + r:g}"
        f"V{bottom - r:g}Q{x:g} {bottom:g} {x + r:g} {bottom:g}H{spine:g}"
    )
