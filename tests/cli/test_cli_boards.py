"""``tvmc boards``, ``tvmc fit`` and ``tvmc micro``: what they print and what they refuse."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from dero_tvm.boards.board import list_boards
from dero_tvm.report.fit import BoardFit, Fit, Need, Verdict
from dero_tvm.report.fit_table import print_fit

WIDTH = {"COLUMNS": "80"}


def lines_of(result) -> list[str]:
    assert result.exit_code == 0, (result.output, result.exception)
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert all(len(line) <= 80 for line in lines)
    return lines


class TestBoards:
    def test_all(self, run):
        lines = lines_of(run("boards", env=WIDTH))
        assert lines[0].split() == ["board", "core", "features", "RAM", "flash"]
        assert [line.split()[0] for line in lines[1:]] == list_boards()
        (disco,) = [line for line in lines if "stm32f746g_disco" in line]
        assert disco.split() == ["stm32f746g_disco", *"cortex-m7 fpu dsp 8,512 KB 1 MB".split()]

    def test_chosen(self, run):
        names = "arduino_portenta_h7 mimxrt1050_evk mimxrt1060_evk mps2-an500 nucleo_h743zi".split()
        options = ("--core", "cortex-m7", "--min-ram", "600KB", "--feature", "fpu-double")
        lines = lines_of(run("boards", *options, env=WIDTH))
        assert [line.split()[0] for line in lines[1:]] == names
        larger = lines_of(run("boards", *options, "--min-flash", "3MB", env=WIDTH))
        assert [line.split()[0] for line in larger[1:]] == names[1:4]
        both = lines_of(run("boards", "--core", "cortex-m0", "--core", "cortex-m3", env=WIDTH))
        assert [
            line.split()[0] for line in both[1:]
        ] == "bbc_microbit mps2-an385 nucleo_f103rb".split()

    def test_one(self, run):
        text = "\n".join(lines_of(run("boards", "nucleo_f303re", env=WIDTH)))
        for part in (
            "ST Nucleo-64, STM32F303RE",
            "-mcpu=cortex-m4",
            "data sheet DS10362",
            "0x10000000   16 KB  Zephyr, dts/arm/st/f3/stm32f303Xe.dtsi (ccm0)",
            "not known there",
        ):
            assert part in text

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("--core", "cortex-m9"), "--core cortex-m9: no board has it; there are cortex-m0, "),
            (("--feature", "neon"), "--feature neon: not one of fpu, fpu-double, dsp, mve"),
            (("--min-ram", "much"), "--min-ram much: not a size"),
            (("--min-ram", "2MB", "--core", "cortex-m0"), "no board has all that is asked for"),
            (("stm32",), "Unknown board 'stm32': did you mean "),
            (("rpi_pico", "--min-ram", "1MB"), "rpi_pico: options that choose among boards do "),
        ],
    )
    def test_refusals(self, refused, words, reason):
        assert refused("boards", *words).startswith(reason)


class TestFit:
    def test_json(self, run, model_file):
        options = ("--core", "cortex-m4", "--board", "nucleo_f446re", "--json")
        data = json.loads(run("fit", model_file, *options).stdout)
        assert [board["board"] for board in data["boards"]] == ["nucleo_f446re"]
        assert [need["dero"] for need in data["needs"]] == ["none", "stream"]
        assert data["needs"][0]["arena_bytes"] > data["needs"][1]["arena_bytes"]

    def test_table(self):
        fits = Verdict({"sram": 1}, 59_000, 100)
        split = Verdict({"sram": 1, "ccm": 1}, 1024, 100)
        small = Verdict({}, -5, 100)
        full = Verdict({"sram": 1}, 5, -2 << 20)
        boards = (
            BoardFit("a", "cortex-m4", 61_440, 131_072, small, fits),
            BoardFit("b", "cortex-m4", 196_608, 0, split, full),
        )
        needs = (
            Need("none", "portable", 70_000, 81_512, 6_700, "gcc for m0"),
            Need("none", "dsp", 71_000, 81_512, 9_700, "gcc for m4"),
            Need("stream", "portable", 9, 1, 1, "gcc for m0"),
        )
        fit = Fit("net", "stream", 8192, needs, boards)
        stream = io.StringIO()
        print_fit(fit, Console(file=stream, width=80))
        lines = [line.rstrip() for line in stream.getvalue().splitlines()]
        assert all(len(line) <= 80 for line in lines)
        assert lines[2:5] == [
            " no option      portable  70,000   81,512  6,700",
            " no option      dsp       71,000   81,512  9,700",
            " --dero stream  portable       9        1      1",
        ]
        assert lines[5].strip().endswith("measured with gcc for m0; gcc for m4.")
        words = [" ".join(line.split()) for line in lines]
        assert "a * 60 KB 128 KB no -5 B yes +57.6 KB" in words
        assert "b 192 KB - split +1 KB flash -2 MB" in words
        assert any(line.startswith(" * 1 board with --dero stream alone: a.") for line in lines)

    def test_refusals(self, refused, model_file):
        assert refused("fit", model_file, "--board", "none.toml").startswith("There is no board")
        assert refused("fit", model_file, "--dero", "magic").startswith("--dero magic: not a way")
        assert refused("fit", model_file, "--reserve", "x").startswith("--reserve x: not a size")
        assert "there is no board to fit" in refused("fit", model_file, "--board", "host")


class TestProjects:
    def test_created(self, run, archive_file, tmp_path):
        folder = tmp_path / "app"
        result = run(
            "micro", "create-project", "zephyr", folder, archive_file, "--board", "nrf52840dk"
        )
        assert result.exit_code == 0, result.output
        assert " files into " in result.stdout
        assert "tvmc run tiny.tar --device serial:" in (folder / "README.md").read_text()

    @pytest.mark.parametrize(
        ("board", "archive", "reason"),
        [
            ("nrf52840", None, "Unknown board 'nrf52840': did you mean nrf52840dk"),
            ("nrf52840dk", "none.tar", "none.tar: no such file"),
            ("nrf52840dk", __file__, "not a model archive that tvmc compile wrote"),
            ("host", None, "host is no board"),
        ],
    )
    def test_refusals(self, refused, archive_file, tmp_path, board, archive, reason):
        folder = tmp_path / "app"
        message = refused(
            *("micro", "create-project", "cmake", folder, archive or archive_file),
            *("--board", board),
        )
        assert reason in message
        assert not folder.exists()

    def test_an_unknown_type(self, run, archive_file, tmp_path):
        result = run(
            "micro", "create-project", "esp", tmp_path / "a", archive_file, "--board", "host"
        )
        assert result.exit_code == 2
        assert "zephyr" in result.stderr


class TestMemory:
    def test_headroom(self, run, model_file):
        result = run("compile", model_file, "--dero", "--target", "stm32f4_disco", env=WIDTH)
        lines = lines_of(result)
        start = next(n for n, line in enumerate(lines) if line == "memory of stm32f4_disco")
        rows = {line.rsplit(maxsplit=3)[0].strip(): line.split()[-3:] for line in lines[start + 2 :]
                if re.search(r" [\d,]+ +[\d,]+ +[\d,]+$", line)}  # fmt: skip
        assert list(rows)[:2] == ["RAM sram", "RAM ccm"]
        for used, capacity, headroom in rows.values():
            used, capacity, headroom = (int(n.replace(",", "")) for n in (used, capacity, headroom))
            assert used + headroom == capacity
        assert rows["RAM ccm"] == ["0", "65,536", "65,536"]
        assert any("8,192 bytes of it are left to stack and application" in line for line in lines)

    def test_the_reserve(self, run, refused, model_file):
        small = run(
            "compile", model_file, "--target", "bbc_microbit", "--reserve", "12KB", env=WIDTH
        )
        assert "12,288 bytes of it are left" in small.stdout
        message = refused("compile", model_file, "--target", "bbc_microbit", "--reserve", "16KB")
        assert "does not fit bbc_microbit" in message
