"""Steps by operator, and what residual joins cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dero_tvm.report import Report
from dero_tvm.report.breakdown import breakdown
from dero_tvm.report.html import html_page
from dero_tvm.report.join_stories import join_stories
from dero_tvm.report.measured import Measured
from dero_tvm.report.timeline import ReportedBuffer
from tests.compiled.models import compiled

DIGITS = Path(__file__).parents[2] / "examples" / "models" / "digits_int8.onnx"


@pytest.fixture(scope="module")
def digits() -> Report:
    return compiled("digits_int8", target="mps2-an500").report


def test_parts_are_the_whole(digits: Report, by_rows: Report, report: Report) -> None:
    for found in (digits, by_rows, report):
        steps = list(breakdown(found))
        assert [part.step for part in steps] == list(found.steps)
        assert sum(part.weights + part.tables for part in steps) == found.constants_bytes
        assert sum(part.tables for part in steps) == found.table_bytes
        for part in steps:
            assert sum(inner.operator.macs for inner in part.operators) == part.step.macs
            assert all(0 <= inner.held <= inner.operator.bytes for inner in part.operators)
            assert all(inner.operator.rows > 0 for inner in part.operators)
            assert {inner.operator.step for inner in part.operators} == {part.number}
    assert digits.table_bytes > 0
    assert any(0 < i.held < i.operator.bytes for s in breakdown(by_rows) for i in s.operators)


def test_what_was_measured_is_in_the_page(digits: Report) -> None:
    steps = tuple(1000.0 * (i + 1) for i in range(len(digits.steps)))
    inner = {o.name: 7000.0 + i for i, o in enumerate(digits.operators)}
    measured = replace(
        digits, measured=Measured("qemu:mps2-an500", "instructions", 1, steps, inner)
    )
    for part in breakdown(measured):
        for one in part.operators:
            alone = len(part.operators) == 1
            assert one.measured == (part.measured if alone else inner[one.operator.name])
    page, bare = html_page(measured), html_page(digits)
    assert ">instructions<" in page and "instructions" not in bare
    assert "7,00" in page
    assert Report.from_dict(measured.to_dict()) == measured


def _changed(report: Report, *, size: int) -> Report:
    """The report with a buffer of `size` bytes that waits for the join alone."""
    (join,) = (r.join for r in report.residuals)
    (at,) = (i for i, o in enumerate(report.operators) if o.name == join)
    step = report.operators[at].step - 1
    rest = [replace(b, waits=(), shortcut_of=()) for b in report.buffers]
    top = max(b.offset + b.size for b in rest)
    region = next(iter(report.regions))
    kept = ReportedBuffer("kept", "kept", "intermediate", size, region, top, step, step)
    kept = replace(kept, shortcut_of=(join,), waits=(step,))
    live = [s.live_bytes + (size if i == step else 0) for i, s in enumerate(report.steps)]
    steps = tuple(replace(s, live_bytes=n) for s, n in zip(report.steps, live))
    left = tuple(replace(r, action="left alone") for r in report.residuals)
    return replace(report, buffers=(*rest, kept), steps=steps, residuals=left)


def test_a_join_that_costs_nothing_is_not_red(reports: dict[str, Report]) -> None:
    peak = max(s.live_bytes for s in reports["none"].steps)
    (dear,) = join_stories(_changed(reports["none"], size=4 * peak))
    assert dear.cost > 0 and not dear.harmless
    assert "would be" in dear.consequence
    page = html_page(_changed(reports["none"], size=4 * peak))
    assert 'class="left-alone"' in page and 'class="harmless"' not in page
    # A pool of large tensors stands elsewhere: the peak is not at the join.
    first = reports["none"].steps[0]
    elsewhere = replace(
        reports["none"],
        buffers=(
            *reports["none"].buffers,
            ReportedBuffer("big", "big", "scratch", 9 * peak, "sram", peak, 0, 0),
        ),
        steps=(replace(first, live_bytes=10 * peak), *reports["none"].steps[1:]),
    )
    (cheap,) = join_stories(elsewhere)
    assert cheap.cost == 0 and cheap.harmless
    page = html_page(elsewhere)
    assert 'class="harmless"' in page and 'class="left-alone"' not in page
    assert "left alone, at no cost: 1" in page


def test_a_join_unlike_the_one_before_says_why(report: Report) -> None:
    (first,) = report.residuals
    other = replace(first, join="second", action="left alone", reason="it is an output, too")
    stories = list(join_stories(replace(report, residuals=(first, other, other))))
    assert [bool(story.contrast) for story in stories] == [False, True, False]
    assert first.reason in stories[1].contrast and first.action in stories[1].contrast
    assert stories[1].contrast in html_page(replace(report, residuals=(first, other)))


def test_columns_that_are_empty_are_left_out() -> None:
    report = compiled("residual", dero="none").report
    page = html_page(report)
    assert ">weights</th>" in page and ">tables</th>" not in page
    assert ">an integer q stands for</th>" not in page
