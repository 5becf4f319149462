"""``tvmc compile --memory-budget`` and ``tvmc report --sweep``."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from dero_tvm.cli.main import tvmc
from examples.models.layers import NetworkBuilder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = NetworkBuilder("tiny", channels=3, resolution=12)
    x = net.conv(net.image, 8, 3, activation="relu")
    x = net.add(net.conv(net.conv(x, 16, 3, activation="relu"), 8, 3), x)
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    onnx.save(net.build(net.dense(net.flatten(net.global_average_pool(x)), 4)), path)
    return path


def tvmc_run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(tvmc, [str(a) for a in arguments])


def arena(path: Path) -> tuple[str, int]:
    report = json.loads(path.read_text())
    return report["chosen"], report["arena_bytes"]


def test_budget(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    layout = ("--input-layout", "nhwc", "--report", report)
    assert tvmc_run("compile", model, *layout).exit_code == 0
    assert arena(report)[0] == "whole tensors"
    assert tvmc_run("compile", model, "--memory-budget", "1MB", *layout).exit_code == 0
    assert arena(report)[0] == "whole tensors"
    assert tvmc_run("compile", "--dero", model, *layout).exit_code == 0
    chosen, least = arena(report)
    assert chosen == "row by row"
    assert tvmc_run("compile", model, "--memory-budget", f"{least} B", *layout).exit_code == 0
    assert arena(report)[1] == least
    below = ("compile", model, "--memory-budget", str(least - 1), *layout)
    refused = tvmc_run(*below, "--max-recompute", "1")
    assert refused.exit_code == 1
    assert f"the least possible is {least:,} bytes at 1.00x multiply-acc" in refused.output
    made_twice = tvmc_run(*below)
    assert made_twice.exit_code == 0
    assert "Chosen: in windows of columns, at 1." in made_twice.output
    assert tvmc_run(*below, "--max-recompute", "much").exit_code == 2


def test_sweep(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "sweep.svg"
    options = ("--limits", "1", "--device", "none", "--input-layout", "nhwc")
    shown = tvmc_run("report", "--sweep", model, *options, "--plot", plot)
    assert shown.exit_code == 0, shown.output
    assert "whole tensors" in shown.output and "--device none" in shown.output
    assert plot.read_text().startswith("<?xml")
    data = json.loads(tvmc_run("report", "--sweep", model, *options, "--json").output)
    assert data["model"] == "tiny"
    assert data["points"][-1]["label"] == "row by row"


def test_options_of_sweep_need_it(model: Path) -> None:
    refused = tvmc_run("report", model, "--integer-io")
    assert refused.exit_code == 1
    assert "--integer-io belongs to --sweep, which is missing" in refused.output


def test_a_plot_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "absent" / "sweep.svg"
    refused = tvmc_run("report", "--sweep", tmp_path / "absent.onnx", "--plot", plot)
    assert refused.exit_code == 1
    assert "does not exist; make it first" in refused.output
