"""``tvmc compile --tune``: flags, what it prints, what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dero_tvm.tuning import Tuner
from dero_tvm.tuning.measure import Meter
from dero_tvm.tuning.trial import Trial

COLUMNS = {"COLUMNS": "80"}


def test_what_is_printed(
    run, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_is_slow(trials: Sequence[Trial], meter: Meter) -> list[tuple[int, ...]]:
        costs = [(1_000,) * len(trial.kernels) for trial in trials]
        return [(20_000, *costs[0][1:]), *costs[1:]]

    monkeypatch.setattr(
        "dero_tvm.driver.prepare.Tuner",
        lambda board, cache, progress: Tuner(board, cache, measure=first_is_slow),
    )
    monkeypatch.setattr("dero_tvm.tuning.measure.why_no_estimate", lambda core: "a tool is missing")
    cache, archive = tmp_path / "kernels.json", tmp_path / "tuned.tar"
    flags = ("--target", "mps2-an500", "--tune", "--tune-cache", cache)
    done = run("compile", model_file, *flags, "-o", archive, env=COLUMNS)
    assert done.exit_code == 0, done.output
    trials = json.loads(cache.read_text())["trials"]
    kernels = sum(len(entry["kernels"]) for entry in trials.values())
    table = done.output[done.output.index("faster than the default kernel") :].splitlines()
    assert table[0] == "faster than the default kernel, instructions".ljust(len(table[0]))
    assert table[1].split() == ["operation", "default", "before", "after", "chosen"]
    assert table[2].split()[1:] == ["conv2d", "fpu_conv2d", "20,000", "1,000", "portable"]
    said = f"Tuned: {kernels} kernels measured, 0 known from the cache; 1 choice other than"
    assert said in table[3]
    assert " Judged by instructions, not cycles, as a tool is missing." in table
    assert max(map(len, table)) <= 80
    again = run("compile", model_file, *flags, env=COLUMNS)
    assert f"Tuned: 0 kernels measured, {kernels} known from the cache" in again.output
    assert "Judged by instructions." in again.output
    assert "20,000" in run("report", archive, env=COLUMNS).output


def test_nothing_to_choose_from(run, model_file: Path, tmp_path: Path) -> None:
    done = run("compile", model_file, "--tune", env={**COLUMNS, "XDG_CACHE_HOME": str(tmp_path)})
    assert done.exit_code == 0, done.output
    assert "Tuned: no operator has more than one kernel on this target." in done.output
    assert not (tmp_path / "dero_tvm" / "kernels.json").exists()


def test_refusals(refused, model_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "kernels.json"
    assert refused("compile", model_file, "--tune-cache", cache) == (
        "--tune-cache is for --tune, which measures kernels"
    )
    cache.write_text("{}")
    flags = ("compile", model_file, "--tune", "--tune-cache")
    assert refused(*flags, cache) == (
        f"{cache} is not a cache of measured kernels: delete it, or name another file with "
        "--tune-cache"
    )
    assert refused(*flags, model_file) == (
        f"MODEL and --tune-cache are the same file, {model_file}; give another name"
    )
    assert (
        refused(*flags, tmp_path)
        == f"--tune-cache {tmp_path}: is a folder; give the name of a file"
    )
    missing = tmp_path / "absent" / "kernels.json"
    assert refused(*flags, missing) == (
        f"--tune-cache {missing}: the folder {missing.parent} does not exist"
    )
