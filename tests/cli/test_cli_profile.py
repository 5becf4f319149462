"""``tvmc run --profile``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dero_tvm.aot import load_archive
from dero_tvm.report import Report
from dero_tvm.report.breakdown import breakdown

COLUMNS = {"COLUMNS": "80"}


def test_on_the_host(run, archive_file: Path, tmp_path: Path) -> None:
    if not shutil.which("cc") and not shutil.which("gcc"):
        pytest.skip("not installed: gcc")
    trace = tmp_path / "trace.json"
    words = ("run", archive_file, "--device", "host-c", "--profile", "--trace", trace)
    done = run(*words, env=COLUMNS)
    assert done.exit_code == 0, done.output
    assert json.loads(trace.read_text())["otherData"]["time"] == "measured"
    table = done.output[done.output.index("profile of the steps") :].splitlines()
    assert table[1].split()[:4] == ["step", "µs", "share", "MACs"]
    archive = load_archive(archive_file)
    steps, operators = archive.report["steps"], archive.report["operators"]
    assert archive.counted, "a step of several operators"
    lines = {line.split()[0]: line for line in reversed(table[2:]) if line.strip()}
    layers = table[table.index("layers") :]
    made = {line.split()[0]: line.split()[1:] for line in layers[2:-1]}
    for number, step in enumerate(steps):
        line = lines[step["name"]]
        assert f"{step['macs']:,}" in line and f"{step['live_bytes']:,}" in line
        inside = [operator for operator in operators if operator["step"] == number]
        for operator in inside if len(inside) > 1 else ():
            assert operator["name"] in archive.counted
            assert f"{operator['macs']:,}" in lines[operator["name"]]
            assert made[operator["name"]] == " ".join(operator["layers"][:1]).split()
        if len(inside) == 1:
            assert made[step["name"]] == ", ".join(step["layers"]).split()
    assert f"{sum(step['macs'] for step in steps):,}" in lines["together"]
    assert any("One inference; the counter advances once in 100 ns." in line for line in table)
    assert table[-1] == f"wrote {trace}"
    assert max(map(len, table[:-1])) <= 80


def test_on_an_emulated_board(run, archive_file: Path) -> None:
    missing = [t for t in ("arm-none-eabi-gcc", "qemu-system-arm") if not shutil.which(t)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    done = run("run", archive_file, "--device", "qemu:mps2-an386", "--profile", env=COLUMNS)
    assert done.exit_code == 0, done.output
    assert "instructions   share" in done.output
    assert "the counter advances once in 40 instructions" in done.output


def test_not_in_the_jit(refused, archive_file: Path) -> None:
    assert refused("run", archive_file, "--profile") == (
        "a profile needs the generated C: choose --device host-c (time) or qemu:BOARD "
        "(instructions)"
    )


def test_a_trace_needs_a_profile(refused, archive_file: Path, tmp_path: Path) -> None:
    assert refused("run", archive_file, "--trace", tmp_path / "t.json") == (
        "--trace needs what --profile measures: give both"
    )
    absent = tmp_path / "absent" / "t.json"
    words = ("run", archive_file, "--device", "host-c", "--profile", "--trace", absent)
    assert "does not exist; make it first" in refused(*words)


def test_operators_take_what_their_step_takes(run, archive_file: Path, tmp_path: Path) -> None:
    """On an emulated board, where the counter is exact; the files have what was measured."""
    missing = [t for t in ("arm-none-eabi-gcc", "qemu-system-arm") if not shutil.which(t)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    words = ("--device", "qemu:mps2-an386", "--profile", "--html", page, "--report", data)
    done = run("run", archive_file, *words)
    assert done.exit_code == 0, done.output
    report = Report.from_dict(json.loads(data.read_text()))
    assert report.measured is not None and report.measured.unit == "instructions"
    several = 0
    for part in breakdown(report):
        taken = [inner.measured for inner in part.operators if inner.measured is not None]
        assert part.measured is not None and all(value >= 0 for value in taken)
        assert abs(sum(taken) - part.measured) <= 0.01 * part.measured + 80
        several += len(taken) > 1
    assert several
    assert "instructions" in page.read_text()
    assert f"{report.measured.steps[0]:,.0f}" in page.read_text()
