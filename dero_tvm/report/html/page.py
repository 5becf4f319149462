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
from typing import TYPE_CHECKING, Any

from dero_tvm.boundary.printable import printable
from dero_tvm.report.data import Report
from dero_tvm.report.timeline import ROLES, Timeline

from .charts import arena_map, stack_chart
from .residual_graph import ROW, residual_graph, style_of
from .row_charts import WIDTH, hue_of, largest

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
    return _template().render(
        report=report,
        compared=[
            stack_chart(key, title[0].upper() + title[1:], timeline, top)
            for key, title, timeline in plans
        ],
        detail=stack_chart("after", "", after, max(1, after.arena_bytes), texts=True),
        arena=arena_map("after", "", after),
        graph=residual_graph(report),
        plans=plans,
        top=top,
        regions={region: size for region, size in report.regions.items() if size},
        roles=ROLES,
        roles_of=_roles,
        style_of=style_of,
        row_height=ROW,
        width=WIDTH,
        hue_of=hue_of,
        largest=largest(after, _MOST_IN_LEGEND) if after.by_rows else ([], 0),
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


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["name"] = lambda text: printable(str(text), _LONGEST_NAME)
    environment.filters["layers"] = _layers
    environment.filters["in_full"] = _in_full
    environment.filters["bytes"] = lambda count: f"{count:,}"
    environment.filters["percent"] = _percent
    environment.filters["short"] = lambda number: f"{number:.6g}"
    return environment.get_template("page.html")


def _layers(layers: Sequence[str]) -> str:
    return ", ".join(printable(layer, _LONGEST_NAME) for layer in layers)


def _in_full(text: str) -> str:
    """A sentence, or the names that TFLite has joined to one: what is long in it is cut."""
    return _WORD.sub(lambda word: printable(word[0], _LONGEST_NAME), printable(text))


def _percent(part: float, whole: Any = 100) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def _asset(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
