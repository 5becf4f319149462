"""``tvmc report --html``, ``--plot`` and ``--trace``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_files(run, archive_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    html, plot, trace = (tmp_path / name for name in ("a.html", "a.svg", "a.json"))
    done = run("report", archive_file, "--html", html, "--plot", plot, "--trace", trace)
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.output.splitlines()] == ["wrote"] * 3
    assert html.read_text().startswith("<!DOCTYPE html>")
    assert plot.read_text().startswith("<?xml")
    assert json.loads(trace.read_text())["traceEvents"]


def test_from_a_json_report(run, model_file: Path, tmp_path: Path) -> None:
    report, first, second = (tmp_path / name for name in ("r.json", "1.html", "2.html"))
    assert run("compile", model_file, "--dero", "-q", "--report", report).exit_code == 0
    assert run("report", report, "--html", first).exit_code == 0
    shown = run("report", report, "--json", "--html", second)
    assert json.loads(shown.output) == json.loads(report.read_text())
    assert first.read_bytes() == second.read_bytes()


def test_refusals(refused, archive_file: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "a.html"
    assert "does not exist; make it first" in refused("report", archive_file, "--html", absent)
    assert refused("report", archive_file, "--html", archive_file).startswith(
        "SOURCE and --html are the same file"
    )
    same = tmp_path / "one"
    assert refused("report", archive_file, "--html", same, "--trace", same).startswith(
        "--html and --trace are the same file"
    )
    assert refused("report", archive_file, "--plot", tmp_path / "a.pdf").endswith(
        "the name of a plot ends in .svg or .png"
    )
    assert refused("report", "--sweep", "m.onnx", "--html", tmp_path / "a.html") == (
        "--html is for one plan, --sweep compares several: leave one out"
    )
