"""What the tables look like: no label wraps at 80 columns, numbers end in one column."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from dero_tvm.aot.archive import load_archive
from dero_tvm.report import Report, ReportedResidual
from dero_tvm.report.data import ReportedShortcut
from dero_tvm.report.text_table import print_report


@pytest.fixture(scope="module")
def report(archive_file) -> Report:
    return Report.from_dict(load_archive(archive_file).report)


def text_of(report: Report, width: int = 80, **options) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width), **options)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_summary(report, width):
    large = replace(
        report, arena_bytes=12_345_678, whole_bytes=98_765_432, plain_bytes=1_234, dero="accumulate"
    )
    lines = text_of(large, width).splitlines()
    summary = lines[1:6]
    labels = [
        "arena",
        "every tensor whole, as written",
        "plain network, residuals removed",
        "--dero accumulate",
        "weights and tables (flash)",
    ]
    assert [line.strip().startswith(label) for line, label in zip(summary, labels)] == [True] * 5
    numbers = [re.search(r"  ([\d,]+)(?= |$)", line.rstrip()) for line in summary[1:]]
    assert len({number.end() for number in numbers}) == 1, "bytes end in one column"
    assert numbers[0][1] == "98,765,432"
    for remark in (f"{about}: {known}." for about, known in report.proofs):
        assert remark in [line.strip() for line in lines], "a line of its own"


def test_nothing_is_wider_than_the_terminal(report):
    for width in (80, 120):
        for line in text_of(report, width, steps=True).splitlines():
            assert len(line) <= width


def test_peak(report):
    lines = text_of(report).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("alive at the peak"))
    peak = lines[start + 2 : lines.index("", start)]
    rows = [line.split() for line in peak]
    assert [row[:4] for row in rows[:-1]] == [
        [b.kind, f"{b.offset:,}", f"{b.size:,}", b.label.split()[0]] for b in report.peak_buffers
    ]
    assert [row[-1] for row in rows[:-1]] == [
        (b.layers or b.label.split()[-1:])[0] for b in report.peak_buffers
    ]
    assert rows[-1] == ["together", f"{report.peak_bytes:,}"]
    assert report.peak_bytes == sum(report.split.values()) == report.arena_bytes


def test_steps_are_only_in_the_long_report(report):
    assert "\nsteps" not in text_of(report)
    table = text_of(report, steps=True)
    for step in report.steps:
        assert f"{step.live_bytes:,}" in table


def test_many_joins(report):
    joins = [
        ReportedResidual(f"lv{i}", "add", "identity", 100, "accumulated", "row by row", (), "Some")
        for i in range(20)
    ]
    joins[7] = replace(joins[7], action="left alone", reason="an output too", decided_by="Other")
    many = replace(report, residuals=tuple(joins))
    short = text_of(many)
    counts = "20 residual joins: 19 accumulated by Some, 1 left alone by Other"
    assert counts in " ".join(short.split())
    assert "lv7 add" in short and "left alone by Other: an output too" in short
    assert "lv8 add" not in short
    assert "lv8 add" in text_of(many, steps=True)


def test_every_decision_names_its_pass(report):
    (join,) = report.residuals
    assert f"{join.action} by {join.decided_by}: " in text_of(report)
    shortcut = ReportedShortcut("lv9", "left alone", "read elsewhere", "FusingPass")
    operators = [replace(o, action="left to TVM") for o in report.operators if o.step == 0]
    operators = [replace(o, reason="no kernel", decided_by="SelectingPass") for o in operators]
    changed = replace(report, shortcuts=(shortcut,), operators=tuple(operators[:1]))
    text = " ".join(text_of(changed, steps=True).split())
    assert "1 left alone by FusingPass" in text and "by FusingPass: read elsewhere" in text
    assert "left to TVM by SelectingPass: no kernel" in text


def test_regions(report):
    assert " in dtcm" not in text_of(replace(report, regions={"dtcm": 5, "sram": 0}))
    both = text_of(replace(report, regions={"dtcm": 5, "sram": 7}))
    assert re.search(r"in dtcm +5\b", both) and re.search(r"in sram +7\b", both)


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "a\nb", "\x1b[31mred", "x" * 10_000, "\udcff"])
def test_names_cannot_spoil_the_terminal(report, name):
    hostile = replace(
        report,
        model=name,
        peak_buffers=tuple(replace(b, label=name) for b in report.peak_buffers),
        steps=tuple(replace(s, name=name) for s in report.steps),
        notes=(name,),
    )
    text = text_of(hostile, steps=True)
    assert "\x1b" not in text
    text.encode()
    assert max(map(len, text.splitlines())) <= 80


def test_help_names_everything(run):
    top = run("--help")
    assert top.exit_code == 0
    for command in ("compile", "run", "report", "fit", "boards"):
        assert re.search(rf"^  {command} +\w", top.stdout, re.MULTILINE)
        page = run(command, "--help").stdout
        assert page.startswith(f"Usage: tvmc {command}")
        assert "\\b" not in page
        assert "--debug" in page
    assert re.search(r"^  micro +\w", top.stdout, re.MULTILINE)
    page = run("micro", "create-project", "--help").stdout
    assert page.startswith("Usage: tvmc micro create-project")
    assert "\b" not in page and "--debug" in page
    assert run().exit_code == 2
    assert run("--version").stdout.startswith("tvmc")


def test_misspelt(refused):
    meant = "No such command 'compil': did you mean compile? (tvmc --help lists all)"
    assert refused("compil", status=2) == meant
    assert refused("frob", status=2) == "No such command 'frob' (tvmc --help lists all)"
    message = refused("compile", "--outptu", "x", status=2)
    assert "No such option '--outptu'" in message
    assert "Invalid value for '--time-limit'" in refused(
        "compile", "x", "--time-limit", "soon", status=2
    )
