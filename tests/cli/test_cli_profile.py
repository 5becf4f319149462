"""``tvmc run --profile``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dero_tvm.aot import load_archive

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
    steps = load_archive(archive_file).report["steps"]
    for step, line in zip(steps, table[2:]):
        assert line.split()[0] == step["name"]
        assert f"{step['macs']:,}" in line and f"{step['live_bytes']:,}" in line
    assert f"{sum(step['macs'] for step in steps):,}" in table[2 + len(steps)]
    assert table[3 + len(steps)].strip() == "One inference; the counter advances once in 100 ns."
    layers = table[table.index(next(line for line in table if line.startswith("layers of the"))) :]
    for step, line in zip(steps, layers[2:]):
        assert line.split() == [step["name"], *", ".join(step["layers"]).split()]
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
