"""The ladder: each way is what compiling with its command line gives."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import helper

import dero_tvm
from dero_tvm.aot.archive import load_archive
from dero_tvm.cli.main import tvmc
from tests.models.small_networks import residual_network
from tests.models.tiny_models import model_of, residual, save

INT8 = Path(__file__).resolve().parents[2] / "examples" / "models" / "digits_int8.onnx"


def run(*words: object) -> Result:
    return CliRunner().invoke(tvmc, [str(word) for word in words], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def quantized() -> dict:
    return json.loads(run("advise", INT8, "--board", "nrf52840dk", "--json").stdout)


@pytest.mark.parametrize("lever", ["integers in and out"])
def test_commands_give_what_is_said(quantized: dict, lever: str, tmp_path: Path) -> None:
    (rung,) = [rung for rung in quantized["rungs"] if rung["lever"] == lever]
    words = shlex.split(rung["command"])[1:]
    words[words.index("model.tar")] = str(tmp_path / "model.tar")
    assert run(*words).exit_code == 0
    sizes = load_archive(tmp_path / "model.tar").arena_bytes
    assert sum(sizes.values()) == rung["arena_bytes"]


def flat() -> onnx.ModelProto:
    return model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": (1, 8)}, {"y": (1, 8)}, {})


@pytest.fixture
def open_model(tmp_path: Path) -> Path:
    """A network for images of any size, in a folder whose name is not easily typed."""
    model = residual(size=16, spatial=True)
    for port in (*model.graph.input, *model.graph.output):
        for axis, name in ((2, "height"), (3, "width")):
            port.type.tensor_type.shape.dim[axis].dim_param = name
    folder = tmp_path / "größer & kleiner"
    folder.mkdir()
    images = np.random.default_rng(0).standard_normal((3, 1, 4, 16, 16)).astype("float32")
    np.savez(folder / "images.npz", image=images)
    return save(model, folder / "open.onnx")


def test_every_command(open_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed as it stands, with what was given to advise."""
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    monkeypatch.chdir(open_model.parent)
    given = ("--input-shapes", "image:[1,4,16,16]", "--reserve", "4KB", "--json")
    rungs = json.loads(run("advise", open_model, "--board", "nrf52840dk", *given).stdout)["rungs"]
    (smaller,) = [rung for rung in rungs if rung["lever"] == "smaller images"]
    assert "image:[1,4,8,8]" in smaller["command"]
    assert smaller["arena_bytes"] < min(rung["arena_bytes"] for rung in rungs[:4])
    for rung in rungs:
        words = shlex.split(rung["command"])[1:]
        assert bool(words) == (rung["arena_bytes"] is not None), rung
        if not words:
            continue
        if "--labels" in words:  # of which this network has none
            at = words.index("--labels")
            del words[at : at + 2]
        done = run(*words)
        assert done.exit_code == 0, (words, done.output)
        if words[0] == "compile":
            arenas = load_archive(Path("model.tar")).arena_bytes
            assert sum(arenas.values()) == rung["arena_bytes"], words


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (residual(), "the file fixes its image at 1 x 4 x 8 x 8"),
        (flat(), "no input is an image, with four dimensions"),
    ],
)
def test_why_there_are_no_smaller_images(model: onnx.ModelProto, why: str) -> None:
    rungs = dero_tvm.advise(model, target="nrf52840dk").rungs
    (smaller,) = [rung for rung in rungs if rung.lever == "smaller images"]
    assert smaller.arena_bytes is None and why in smaller.note


def test_the_largest_images_that_fit(open_model: Path, tmp_path: Path) -> None:
    board = tmp_path / "small.toml"
    text = (INT8.parents[2] / "targets" / "nrf52840dk.toml").read_text()
    board.write_text(text.replace("size = 0x40000", "size = 0x3000"))  # 4 KB beside 8 KB
    shapes = {"image": (1, 4, 32, 32)}
    rungs = dero_tvm.advise(open_model, target=board, input_shapes=shapes).rungs
    (smaller,) = [rung for rung in rungs if rung.lever == "smaller images"]
    assert smaller.fits and 2048 < smaller.arena_bytes <= 4096
    assert not any(rung.fits for rung in rungs[:4])


def test_what_does_not_apply_is_left_out(quantized: dict) -> None:
    levers = [rung["lever"] for rung in quantized["rungs"]]
    assert "quantize to int8" not in levers and "DERO" not in levers
    arenas = [rung["arena_bytes"] for rung in quantized["rungs"][:4]]
    assert arenas == sorted(arenas, reverse=True)
    assert all(rung["ram_free"] > 0 for rung in quantized["rungs"] if rung["arena_bytes"])


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
    assert refused.stderr.endswith(f"`tvmc advise {model} --board {board}`\n")


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
