"""The page: a template filled with the report's charts, graph and tables.

Names come from a model file and may hold anything: the template escapes all text, `name` cuts
what is long and shows what a browser would hide.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dero_tvm.boundary.printable import printable
from dero_tvm.report.breakdown import breakdown
from dero_tvm.report.comparison import Comparison, OperatorPair
from dero_tvm.report.comparison_table import change
from dero_tvm.report.data import Report
from dero_tvm.report.join_stories import join_stories
from dero_tvm.report.layer_names import brief
from dero_tvm.report.timeline import ROLES, Timeline

from .charts import arena_map, stack_chart
from .residual_graph import residual_graph, style_of
from .row_charts import ALIKE, WIDTH, hue_of, largest

if TYPE_CHECKING:
    import jinja2

_LONGEST_NAME = 80
_WORD = re.compile(r"[^\s;]+")
_MOST_IN_LEGEND = 16  # tensors
_FRAME_HEIGHT = 760  # pixels, in a notebook


def html_page(report: Report) -> str:
    """The report as the text of an HTML file."""
    after, plans = report.timeline, report.plans
    top = max(1, *(timeline.arena_bytes for _, _, timeline in plans))
    steps = list(breakdown(report))
    return _template("page.html").render(
        report=report,
        compared=[
            stack_chart(key, title[0].upper() + title[1:], timeline, top)
            for key, title, timeline in plans
        ],
        detail=stack_chart("after", "", after, max(1, after.arena_bytes), texts=True),
        arena=arena_map("after", "", after),
        graph=residual_graph(report),
        steps=steps,
        total=sum(report.measured.steps) if report.measured else report.macs,
        stories=list(join_stories(report)),
        filled=_filled,
        plans=plans,
        top=top,
        regions={region: size for region, size in report.regions.items() if size},
        roles=ROLES,
        roles_of=_roles,
        style_of=style_of,
        width=WIDTH,
        hue_of=hue_of,
        alike=ALIKE,
        largest=largest(after, _MOST_IN_LEGEND) if after.by_rows else ([], 0),
    )


def comparison_page(found: Comparison) -> str:
    """Two reports side by side as the text of an HTML file."""
    sides = []
    top = max(1, found.before.arena_bytes, found.after.arena_bytes)
    for key, title, report in zip(("before", "after"), found.titles, (found.before, found.after)):
        sides.append((title, report, stack_chart(key, title, report.timeline, top)))
    return _template("comparison.html").render(
        found=found,
        report=found.after,
        sides=sides,
        roles=ROLES,
        roles_of=_roles,
        style_of=style_of,
        change=change,
        figure=attrgetter,
        differs=_differs,
        width=WIDTH,
        hue_of=hue_of,
        filled=_filled,
    )


def notebook_frame(report: Report) -> str:
    """The page inside an element of its own, so that its styles stay there."""
    page = html.escape(html_page(report), quote=True)
    return (
        f'<iframe srcdoc="{page}" title="memory report" '
        f'style="width:100%;height:{_FRAME_HEIGHT}px;border:0"></iframe>'
    )


def _roles(*timelines: Timeline) -> list[str]:
    """The roles that occur in any of them, in the order of the legend."""
    found = {role for timeline in timelines for role in timeline.roles}
    return [role for role in ROLES if role in found]


def _differs(pair: OperatorPair, field: str) -> str:
    """``conv2d -> lookup``, or what both have, or the one that there is."""
    sides = [getattr(side, field) for side in (pair.before, pair.after) if side is not None]
    return printable(" -> ".join(dict.fromkeys(sides)), 2 * _LONGEST_NAME)


def _filled(rows: Sequence[Sequence[object]]) -> list[int]:
    """The columns of a table that have something in some row."""
    columns = range(len(rows[0]) if rows else 0)
    return [at for at in columns if any(str(row[at]).strip() for row in rows)]


@cache
def _template(name: str) -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.do"],
    )
    environment.filters["name"] = lambda text: printable(str(text), _LONGEST_NAME)
    environment.filters["layers"] = _layers
    environment.filters["in_full"] = _in_full
    environment.filters["bytes"] = lambda count: f"{count:,}"
    environment.filters["number"] = lambda n: "" if n is None else f"{n:,.0f}"
    environment.filters["count"] = lambda count: f"{count:,}" if count else ""
    environment.filters["percent"] = _percent
    environment.filters["short"] = lambda number: f"{number:.6g}"
    return environment.get_template(name)


def _layers(layers: Sequence[str]) -> str:
    return ", ".join(printable(brief(layer), _LONGEST_NAME) for layer in layers)


def _in_full(text: str) -> str:
    """A sentence, or the names that TFLite has joined to one: what is long in it is cut."""
    return _WORD.sub(lambda word: printable(word[0], _LONGEST_NAME), printable(text))


def _percent(part: float, whole: Any = 100) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def _asset(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
