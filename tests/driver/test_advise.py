"""The ladder: each way is what compiling with its command line gives."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import dero_tvm
from dero_tvm.aot.archive import load_archive
from dero_tvm.cli.main import tvmc
from tests.models.small_networks import residual_network
from tests.models.tiny_models import residual, save

INT8 = Path(__file__).resolve().parents[2] / "examples" / "models" / "digits_int8.onnx"


def run(*words: object) -> Result:
    return CliRunner().invoke(tvmc, [str(word) for word in words], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def quantized() -> dict:
    return json.loads(run("advise", INT8, "--board", "nrf52840dk", "--json").stdout)


@pytest.mark.parametrize("lever", ["whole tensors", "stream", "integers in and out"])
def test_commands_give_what_is_said(quantized: dict, lever: str, tmp_path: Path) -> None:
    (rung,) = [rung for rung in quantized["rungs"] if rung["lever"] == lever]
    words = shlex.split(rung["command"])[1:]
    words[words.index("model.tar")] = str(tmp_path / "model.tar")
    assert run(*words).exit_code == 0
    sizes = load_archive(tmp_path / "model.tar").arena_bytes
    assert sum(sizes.values()) == rung["arena_bytes"]


def test_what_does_not_apply_is_left_out(quantized: dict) -> None:
    levers = [rung["lever"] for rung in quantized["rungs"]]
    assert "quantize to int8" not in levers and "DERO" not in levers
    arenas = [rung["arena_bytes"] for rung in quantized["rungs"][:4]]
    assert arenas == sorted(arenas, reverse=True)
    assert all(rung["ram_free"] > 0 for rung in quantized["rungs"])


def test_the_table(tmp_path: Path) -> None:
    model = save(residual(), tmp_path / "tiny.onnx")
    board = tmp_path / "small.toml"
    text = (INT8.parents[2] / "targets" / "nrf52840dk.toml").read_text()
    board.write_text(text.replace("size = 0x40000", "size = 0x2980"))  # 2,432 bytes beside 8 KB
    done = run("advise", model, "--board", board)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert any(" whole tensors" in line and "RAM -640" in line for line in lines)
    assert any(" quantize to int8 " in line for line in lines)
    (stream,) = [line for line in lines if line.startswith(" 4  tvmc compile")]
    assert shlex.split(stream)[1:4] == ["tvmc", "compile", str(model)]
    assert max(map(len, lines[:12])) <= 100
    refused = run("compile", model, "--target", board)
    assert refused.stderr.endswith(f"`tvmc advise {model} --board nrf52840dk`\n")


def test_windows_of_columns() -> None:
    model = residual_network(16)
    rungs = dero_tvm.advise(model, target="nrf52840dk").rungs
    (stream,) = [rung for rung in rungs if rung.lever == "stream"]
    found = [rung for rung in rungs if rung.lever.startswith("windows of columns")]
    assert found and all(rung.arena_bytes < stream.arena_bytes for rung in found)
    words = shlex.split(found[-1].command)
    budget, ratio = (words[words.index(f"--{n}") + 1] for n in ("memory-budget", "max-recompute"))
    compiled = dero_tvm.compile(
        model, target="nrf52840dk", memory_budget=int(budget), max_recompute=float(ratio)
    )
    assert compiled.report.arena_bytes <= found[-1].arena_bytes


@pytest.mark.parametrize("board", ["host", "native_sim"])
def test_a_board_without_a_memory(board: str) -> None:
    refused = run("advise", INT8, "--board", board)
    assert refused.exit_code == 1 and f"the memory of {board} is not described" in refused.stderr
