"""The timeline as a picture and as a trace."""

from __future__ import annotations

import json
import re
import sys
import xml.dom.minidom
from pathlib import Path

import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.installation import pip_install
from dero_tvm.report import Report
from dero_tvm.report.timeline_plot import plot_timeline
from dero_tvm.report.trace import chrome_trace
from dero_tvm.runners import Profile


def test_plot(report: Report, hostile: Report) -> None:
    pytest.importorskip("matplotlib")
    svg = plot_timeline(report, Path("a.svg"))
    assert svg == plot_timeline(report, Path("a.svg"))
    texts = [
        "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE)
        for node in xml.dom.minidom.parseString(svg).getElementsByTagName("text")
    ]
    assert f"compiled, --dero accumulate: {report.arena_bytes:,} bytes" in texts
    assert f"as written, every tensor whole: {report.whole_bytes:,} bytes" in texts
    assert "tensor kept for a residual join alone" in texts
    assert plot_timeline(report, Path("a.png")).startswith(b"\x89PNG")
    assert xml.dom.minidom.parseString(plot_timeline(hostile, Path("a.svg")))
    assert report.plot().axes


def test_bars_are_the_bytes_alive(report: Report) -> None:
    pytest.importorskip("matplotlib")
    for axes, timeline in zip(report.plot().axes, (report.whole, report.plain, report.timeline)):
        tops: dict[float, float] = {}
        for bar in axes.patches:
            left = round(bar.get_x())
            tops[left] = max(tops.get(left, 0), bar.get_y() + bar.get_height())
        live = [step.live_bytes for step in timeline.steps]
        assert [tops[start] for start in timeline.starts[:-1]] == live


def test_plot_refusals(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--plot a.pdf: the name of a plot ends in .svg or .png"):
        plot_timeline(report, Path("a.pdf"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        UserError, match=rf"A plot needs matplotlib.*{re.escape(pip_install('plot'))}"
    ):
        report.plot()


FIELDS = {"X": "ts dur tid", "C": "ts args", "b": "ts id cat", "e": "ts id cat", "M": "args"}


def test_trace(report: Report, hostile: Report) -> None:
    """The fields that the Trace Event Format asks of each kind of event."""
    for one in (report, hostile):
        document = json.loads(chrome_trace(one))
        events = document["traceEvents"]
        needed = {
            "X": "ts dur tid",
            "C": "ts args",
            "b": "ts id cat",
            "e": "ts id cat",
            "M": "args",
        }
        for event in events:
            assert {"name", "pid", "ph", *needed[event["ph"]].split()} <= event.keys()
        begun = [(e["pid"], e["id"]) for e in events if e["ph"] == "b"]
        assert sorted(begun) == sorted((e["pid"], e["id"]) for e in events if e["ph"] == "e")
        assert len(set(begun)) == len(begun)
        for pid, plan in enumerate((one.timeline, one.whole, one.plain), 1):
            mine = [event for event in events if event["pid"] == pid]
            slices = [event for event in mine if event["ph"] == "X"]
            assert len(slices) == len(plan.steps)
            ends = [event["ts"] + event["dur"] for event in slices]
            assert [event["ts"] for event in slices] == [0, *ends[:-1]]
            live = [step.live_bytes for step in plan.steps]
            for counter in ("arena", "arena by kind"):
                values = [sum(e["args"].values()) for e in mine if e["name"] == counter]
                assert values == [*live, 0]


def test_trace_of_a_profile(report: Report) -> None:
    """Steps last as long as they took: one microsecond an instruction, or the time measured."""
    ticks = tuple(range(1, len(report.steps) + 1))
    for unit, resolution, scale in (("instructions", 40, 40.0), ("ns", 100, 0.1)):
        profile = Profile((ticks, ticks), unit, resolution)
        events = json.loads(chrome_trace(report, profile))["traceEvents"]
        assert {event["pid"] for event in events} == {1}
        durations = [event["dur"] for event in events if event["ph"] == "X"]
        assert durations == pytest.approx([scale * tick for tick in ticks])
        counters = [event["ts"] for event in events if event["name"] == "arena"]
        assert counters[-1] == pytest.approx(sum(durations))
