"""Two reports side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console

from dero_tvm.cli.main import tvmc
from dero_tvm.report import Report
from dero_tvm.report.comparison import compare
from dero_tvm.report.comparison_table import print_comparison
from dero_tvm.report.html import comparison_page

TITLES = ("before", "after")


def figures(found) -> dict[str, tuple[float | None, float | None, str]]:
    return {f.name: (f.before, f.after, f.change) for f in found.figures}


def test_a_report_beside_itself(report: Report) -> None:
    found = compare(report, report, TITLES)
    assert not found.operators and not found.joins and not found.changes
    assert found.alike == sum(o.step >= 0 for o in report.operators)
    assert not any(figure.change for figure in found.figures)


def test_before_and_after(reports: dict[str, Report]) -> None:
    before, after = reports["none"], reports["accumulate"]
    found = compare(before, after, TITLES)
    rows = figures(found)
    assert rows["arena"][:2] == (before.arena_bytes, after.arena_bytes)
    difference = after.arena_bytes - before.arena_bytes
    assert rows["arena"][2].startswith(f"{difference:+,}")
    assert rows["joins left alone"] == (1, 0, "-1 (-100.0 %)")
    (join,) = found.joins
    assert join.before and join.after
    assert (join.before.action, join.after.action) == ("left alone", "accumulated")
    assert any(text.startswith("--dero: none -> accumulate") for text in found.changes)


def test_operators_that_are_gone_and_new(report: Report) -> None:
    number = next(i for i, o in enumerate(report.operators) if o.operator == "conv2d")
    gone = report.operators[number]
    fewer = (*report.operators[:number], *report.operators[number + 1 :])
    less = replace(report, operators=fewer)
    name = gone.layers[0] if gone.layers else gone.name
    for sides, gives in (((report, less), "gone"), ((less, report), "new")):
        found = compare(*sides, TITLES)
        (only,) = found.operators
        assert only.name.startswith(name) and (only.after is None) == (gives == "gone")
        assert f"operators that are {gives}: {only.name}" in found.changes


def test_hostile_names(hostile: Report, report: Report) -> None:
    page = comparison_page(compare(hostile, report, ("<script>", "b")))
    assert page.count("<script>") == 1 and "<img" not in page
    console = Console(width=80, record=True, file=StringIO())
    print_comparison(compare(hostile, report, TITLES), console)
    assert "\x1b[31m" not in console.export_text()


def test_command(reports: dict[str, Report], tmp_path: Path) -> None:
    for name in ("none", "stream"):
        (tmp_path / f"{name}.json").write_text(reports[name].to_json())
    sources = [str(tmp_path / f"{name}.json") for name in ("none", "stream")]
    done = CliRunner().invoke(tvmc, ["report", *sources], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert "none.json" in done.output and "stream.json" in done.output
    assert f"{reports['none'].arena_bytes:,}" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    page = tmp_path / "changes.html"
    done = CliRunner().invoke(tvmc, ["report", *sources, "--html", str(page)])
    assert done.exit_code == 0 and "Side by side" in page.read_text()
    done = CliRunner().invoke(tvmc, ["report", *sources, "--json"])
    data = json.loads(done.output)
    assert data["titles"] == ["none.json", "stream.json"] and "before" not in data
    done = CliRunner().invoke(tvmc, ["report", *sources, "--plot", str(tmp_path / "a.svg")])
    assert done.exit_code != 0 and "--plot is for one SOURCE" in str(done.output)
