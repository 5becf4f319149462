"""The page: self-contained, well-formed, and safe against what a model file may hold."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from onnx import helper

import dero_tvm
from dero_tvm.report import Report
from dero_tvm.report.data import ReportedShortcut
from dero_tvm.report.html import html_page, notebook_frame
from dero_tvm.report.html.residual_graph import ROW, residual_graph
from tests.compiled.models import compiled
from tests.models.tiny_models import model_of

VOID = {"meta", "hr", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; complains of tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(html_page(report))


def test_nothing_comes_from_elsewhere(report: Report) -> None:
    text = html_page(report)
    page = Page(text)
    assert not {"link", "img", "iframe", "object", "base"} & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "srcset", "data")]
    assert not re.search(r"https?:|url\(|@import|fetch\(|import\(", text)


def test_figures(page: Page, report: Report) -> None:
    text = " ".join(page.text.split())
    for size in (report.arena_bytes, report.whole_bytes, report.plain_bytes, report.macs):
        assert f"{size:,}" in text
    for known in (report.order_proof, report.placement_proof, report.chosen, report.peak_step):
        assert known in text
    for join in report.residuals:
        assert join.action in text and join.reason in text
        assert f"by {join.decided_by}" in text, "in the list; in the table it has a cell of its own"


def test_every_box_has_its_row(page: Page, report: Report) -> None:
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {value for _, name, value in page.attributes if name in ("data-b", "data-s")}
    assert named and named <= set(ids)
    for key, timeline in (
        ("after", report.timeline),
        ("whole", report.whole),
        ("plain", report.plain),
    ):
        assert {f"{key}-b{i}" for i in range(len(timeline.buffers))} <= set(ids)


def test_boxes_lie_inside_their_charts(page: Page) -> None:
    places = [value for tag, name, value in page.attributes if tag == "b" and name == "style"]
    assert places
    for place in places:
        at = {k: float(v.rstrip("%")) for k, v in re.findall(r"(\w+):([\d.e-]+%)", place)}
        assert 0 <= at["left"] and at["left"] + at["width"] <= 100.001
        assert 0 <= at["bottom"] and at["bottom"] + at["height"] <= 100.001


def test_hostile_names(page: Page, hostile: Report) -> None:
    text = html_page(hostile)
    hostile_page = Page(text)
    assert hostile_page.tags.count("script") == 1
    assert sorted(hostile_page.tags) == sorted(page.tags)
    assert not [a for a in hostile_page.attributes if a[1].startswith("on")]
    assert "</script><script>document.title" in hostile_page.text
    assert "{{ 7 * 7 }}" in hostile_page.text
    assert "a" * 100 not in text, "long names are cut"
    assert "\u202e" not in text and "\x1b" not in text
    text.encode()


@pytest.mark.parametrize(
    "options",
    [
        {"external_io": True},
        {"input_layout": "nhwc", "stream_input": True, "stream_output": True},
        {"external_io": True, "dero": "none"},
    ],
)
def test_other_interfaces(options: dict[str, Any]) -> None:
    """Inputs and outputs that are outside the arena, or never whole."""
    report = compiled("spatial residual", **options).report
    page = Page(html_page(report))
    ids = {value for _, name, value in page.attributes if name == "id"}
    named = {value for _, name, value in page.attributes if name in ("data-b", "data-s")}
    assert named <= ids
    kinds = {buffer.kind for buffer in report.buffers}
    assert not kinds & {"input", "output"}


def test_no_arena_and_no_residual() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    model = model_of([node], {"x": (1, 4)}, {"y": (1, 4)})
    report = dero_tvm.compile(model, external_io=True).report
    assert report.arena_bytes == 0
    page = Page(html_page(report))
    assert "This network has no residual joins." in page.text
    assert [row.operator.operator for row in residual_graph(report).rows][0] == "input"


def test_notebook(report: Report) -> None:
    frame = Page(report._repr_html_())
    assert frame.tags == ["iframe"]
    assert ("iframe", "srcdoc", html_page(report)) in frame.attributes
    assert notebook_frame(report) == report._repr_html_()


def test_graph(reports: dict[str, Report]) -> None:
    for dero, action in (("none", "left-alone"), ("accumulate", "accumulated")):
        graph = residual_graph(reports[dero])
        assert graph.height == ROW * len(reports[dero].operators)
        (arc,) = (arc for arc in graph.arcs if arc.style != "plain")
        assert arc.style == action
        assert [row.style for row in graph.rows if row.action] == [action]
        xs = [float(x) for x in re.findall(r"[MHQ ](-?[\d.]+)", arc.path)]
        assert min(xs) >= 0


def test_shortcuts_over_one_convolution(report: Report) -> None:
    """As `FuseShortcuts` leaves them: the operator has the name of the addition that it took in."""
    first, second = [o.name for o in report.operators if o.operator == "conv2d"]
    shortcuts = (
        ReportedShortcut(first, "fused", "window sum of 1 x 1"),
        ReportedShortcut(second, "left alone", "<b>read</b> elsewhere"),
    )
    changed = replace(report, shortcuts=shortcuts)
    styles = {row.operator.name: row.style for row in residual_graph(changed).rows}
    assert (styles[first], styles[second]) == ("fused", "left-alone")
    page = Page(html_page(changed))
    assert "Shortcuts over one convolution (2)" in page.text
    assert page.text.count("<b>read</b> elsewhere") == 2, "in the list and in the table"


def test_an_operator_that_a_pass_left_alone(report: Report) -> None:
    """Neither join nor shortcut: its line says what was decided, by whom, and why."""
    first = next(o for o in report.operators if o.operator == "conv2d")
    left = {"action": "left to TVM", "decided_by": "SelectingPass", "reason": "<i>groups</i>"}
    operators = [replace(o, **left) if o == first else o for o in report.operators]
    page = Page(html_page(replace(report, operators=tuple(operators))))
    assert page.text.count("left to TVM by SelectingPass: <i>groups</i>") == 1


def test_the_same_report_gives_the_same_page(report: Report) -> None:
    assert html_page(report) == html_page(Report.from_dict(report.to_dict()))
