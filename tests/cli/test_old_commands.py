"""Command lines of microTVM: what the page on migration says of each is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from dero_tvm.aot.archive import load_archive
from dero_tvm.boards.board import load_board
from dero_tvm.boards.old_names import board_called
from dero_tvm.cli.old_flags import COMPILE, without_old_flags

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
ROW = re.compile(r"^\| `(tvmc [^|]*)` \| (\w+)([^|]*)\|$", re.MULTILINE)
TOOLS = ("west", "arduino-cli", "cmake")


def test_what_the_page_says(
    run, archive_file: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page: what one makes, the next ones use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copy(archive_file, "model.tar")
    shutil.copy(model_file, "model.onnx")
    section = PAGE.read_text().partition("## Typed as they are")[2].partition("\n## ")[0]
    rows = ROW.findall(section)
    assert len(rows) == section.count("\n| `tvmc ") > 20
    for command, first, rest in rows:
        which = dict.fromkeys(TOOLS)
        monkeypatch.setattr(
            "dero_tvm.projects.platform_tools.shutil.which", lambda t, w=which: w.get(t)
        )
        done = run(*shlex.split(command)[1:])
        said = re.search(r"`(.*)`", rest)
        refused = first == "refused" or "says what to type" in rest
        assert done.exit_code == (1 if refused else 0), (command, done.output)
        assert said is None or said[1] in done.stderr, (command, done.stderr)
        assert refused or done.stderr.count("tvmc: note: ") == int("note" in rest), command
        assert done.stderr.count("tvmc: error: ") == int(refused), command


def test_mlonmcu(run, model_file: Path, tmp_path: Path) -> None:
    """The argument list of its backend for ahead-of-time code."""
    out = tmp_path / "default.tar"
    done = run(
        *("compile", model_file, "--target", "c", "--runtime", "crt", "--executor", "aot"),
        *("--pass-config", "tir.disable_vectorize=True", "--pass-config", "tir.usmp.enable=True"),
        *("--pass-config", "tir.usmp.algorithm=hill_climb", "--opt-level", "3"),
        *("--output", out, "-f", "mlf", "--model-format", "onnx"),
        *("--runtime-crt-system-lib", "0", "--executor-aot-unpacked-api", "1"),
        *("--executor-aot-interface-api", "c", "--target-c-constants-byte-alignment", "16"),
        *("--target-c-workspace-byte-alignment", "16"),
    )
    assert done.exit_code == 0, done.output
    main = load_archive(out).metadata["modules"]["default"]["memory"]["functions"]["main"]
    assert main[0]["workspace_size_bytes"] > 0


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("m --opt-level 3 -o x", "m -o x"),
        ("m --opt-level=3 --opt-level --dero", "m --dero"),
        ("--desired-layout NCHW NHWC:HWIO m.onnx", "m.onnx"),
        ("--desired-layout m.onnx", "m.onnx"),
        ("--target c --target-c-mcpu cortex-m7 m", "--target c m"),
        ("--workspace-pools a --workspace-pools-any-thing a:1 m", "--workspace-pools a m"),
        ("m -- --opt-level 3", "m -- --opt-level 3"),
        ("m --opt-leve 3", "m --opt-leve 3"),
    ],
)
def test_words_taken(words: str, left: str) -> None:
    own = {"--target", "--workspace-pools", "--dero", "-o"}
    assert without_old_flags(words.split(), COMPILE, own)[0] == left.split()


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("nrf5340dk_nrf5340_cpuapp", "nrf5340dk"),
        ("nano33ble", "arduino_nano_33_ble"),
        ("mps2_an385", "mps2-an385"),
        ("stm32f746g_disco", "stm32f746g_disco"),
    ],
)
def test_old_board_names(old: str, name: str) -> None:
    assert board_called(old) == load_board(name)


@pytest.mark.parametrize(
    ("flags", "regions"),
    [
        (("--workspace-pools", "slow,fast"), {"slow"}),
        (("--workspace-pools=a,b", "--workspace-pools-size-hint-bytes=a:1024"), {"a", "b"}),
        (("--target", "nucleo_f767zi", "--workspace-pools", "dtcm,sram"), {"dtcm"}),
    ],
)
def test_pools_are_regions(run, model_file: Path, tmp_path: Path, flags, regions) -> None:
    out = tmp_path / "model.tar"
    done = run("compile", model_file, *flags, "-o", out)
    assert done.exit_code == 0, done.output
    used = {region for region, size in load_archive(out).arena_bytes.items() if size}
    assert used == regions


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--workspace-pools-size-hint-bytes", "a:1"), "name the regions with --workspace-pools"),
        (("--workspace-pools", "a,a"), "name each region once"),
        (("--workspace-pools", "A"), "'A' is no name of a region"),
        (("--workspace-pools", "a", "--workspace-pools-size-hint-bytes", "b:1"), "b is not among"),
        (("--workspace-pools", "a", "--workspace-pools-size-hint-bytes", "a"), "NAME:BYTES"),
        (("--target", "mps2-an500", "--workspace-pools", "dtcm"), "has the regions sram, psram"),
        (("--workspace-pools", "a", "--workspace-pools-size-hint-bytes", "a:64"), "64"),
    ],
)
def test_refused_pools(refused, model_file: Path, flags, reason: str) -> None:
    assert reason in refused("compile", model_file, *flags)


def test_tools_are_run(run, archive_file: Path, tmp_path: Path, monkeypatch) -> None:
    """With a stand-in for the platform's tool that writes down how it is called."""
    tool = tmp_path / "bin" / "west"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$@" >> ../calls\ntest "$1" = build\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    app = tmp_path / "app"
    words = ("zephyr", app, archive_file, "--board", "nrf52840dk")
    assert run("micro", "create-project", *words).exit_code == 0
    (app / "build").mkdir()
    assert run("micro", "build", app, "--force").exit_code == 0
    assert not (app / "build").exists()
    failed = run("micro", "flash", app)
    assert "west flash in" in failed.stderr and "failed with status 1" in failed.stderr
    assert (tmp_path / "calls").read_text() == "build -b nrf52840dk/nrf52840 .\nflash\n"
    wrong = run("micro", "build", app, "arduino")
    assert "is a zephyr project, not arduino" in wrong.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("")
    kept = run("micro", "create-project", "zephyr", tmp_path / "mine", *words[2:], "--force")
    assert "is no project of tvmc micro create-project" in kept.stderr
    assert (tmp_path / "mine" / "precious").exists()
