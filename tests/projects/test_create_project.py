"""Which files a project has, and what is refused: nothing is left behind then."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dero_tvm.boards.board import Board, load_board
from dero_tvm.boards.board_folders import targets_folder
from dero_tvm.boundary.errors import UserError
from dero_tvm.projects import KINDS, create_project
from dero_tvm.projects.order import kernels_of_other_cores
from tests.runners.fake_archive import FakeArchive

BOARDS = {"zephyr": "nrf52840dk", "arduino": "arduino_nano_33_ble", "cmake": "nucleo_f446re"}


@pytest.mark.parametrize("kind", KINDS)
def test_files(project, kind):
    folder = project(kind, BOARDS[kind])
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    for name in ("default_lib0.c", "default_lib1.c", "tvmgen_default.h", "network.c", "protocol.h"):
        assert [file for file in files if file.endswith(f"/{name}")], name
    for file in files:
        text = (folder / file).read_text()
        assert "@" not in text.replace("@r", ""), f"a value is missing in {file}"
        assert text.endswith("\n") and not text.endswith("\n\n"), file


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_files_every_time(tmp_path, kind):
    board = load_board(BOARDS[kind])
    contents = []
    for name in ("one", "two"):
        folder = tmp_path / name / "app"
        folder.parent.mkdir()
        paths = create_project(kind, folder, FakeArchive(), board)
        contents.append({str(p.relative_to(folder)): p.read_bytes() for p in paths})
    assert contents[0] == contents[1]


def test_start_up_code_is_that_of_the_runner(project):
    folder = project("cmake", "mps2-an500")
    for name in ("startup.c", "semihosting.c", "semihosting.h"):
        original = targets_folder() / "baremetal" / name
        assert (folder / "board" / name).read_bytes() == original.read_bytes()


def test_an_empty_folder_will_do(tmp_path):
    (tmp_path / "app").mkdir()
    create_project("zephyr", tmp_path / "app", FakeArchive(), load_board("nrf52840dk"))
    assert (tmp_path / "app" / "prj.conf").is_file()


def test_the_folder_in_which_one_is_will_do_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_project("cmake", Path("."), FakeArchive(), load_board(BOARDS["cmake"]))
    assert Path.cwd() == tmp_path  # a folder in its place would leave the shell in none
    assert Path("CMakeLists.txt").is_file()


def changed(name: str, **changes: object) -> Board:
    return replace(load_board(name), **changes)


@pytest.mark.parametrize(
    ("kind", "board", "archive", "reason"),
    [
        ("esp", "nrf52840dk", {}, "not a type of project; there are zephyr, arduino, cmake"),
        ("cmake", "host", {}, "host is no board for cmake projects: name one with --bo"),
        ("zephyr", "alif_e7_dk", {}, "Zephyr's name of the board alif_e7_dk is not known"),
        ("arduino", "nrf52840dk", {}, "Arduino's name of the board nrf52840dk is not known"),
        ("cmake", "rpi_pico", {}, "rpi_pico does not start a bare image: it needs a second-stage"),
        ("cmake", changed("nrf52840dk", flash=None), {}, r"has no \[flash\] table"),
        (
            "zephyr",
            "nucleo_h743zi",
            {"sram_d2": 100},
            "lies in the region 'sram_d2' of nucleo_h743zi, where Zephyr has no linker section",
        ),
        (
            "arduino",
            "stm32f4_disco",
            {"ccm": 100},
            "lies in the region 'ccm' of stm32f4_disco, but Arduino keeps all variables in 'sram'",
        ),
        ("zephyr", "bbc_microbit", {"sram": 12289}, "does not fit the region 'sram'.*1 too few"),
        (
            "zephyr",
            "bbc_microbit",
            {"a": 9, "b": 9},
            "has an arena in the region 'a', but the boar",
        ),
    ],
)
def test_refusals(tmp_path, kind, board, archive, reason):
    model = FakeArchive(arena_bytes=archive) if archive else FakeArchive()
    target = load_board(board) if isinstance(board, str) else board
    with pytest.raises(UserError, match=reason):
        create_project(kind, tmp_path / "app", model, target)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_taken_or_cannot_be_written(tmp_path):
    board = load_board("arduino_nano_33_ble")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(UserError, match=f"{name}: exists already; give the name of a new fold"):
            create_project("zephyr", tmp_path / name, FakeArchive(), board)
    with pytest.raises(UserError, match="cannot be written .No such file or directory"):
        create_project("zephyr", tmp_path / "none" / "app", FakeArchive(), board)
    with pytest.raises(UserError, match="Arduino wants a sketch's folder named with letters"):
        create_project("arduino", tmp_path / "my sketch", FakeArchive(), board)
    assert {path.name for path in tmp_path.iterdir()} == {"full", "file"}
    assert os.listdir(tmp_path / "full") == ["notes.txt"]


@pytest.mark.parametrize(
    ("board", "region", "section"),
    [
        ("stm32f746g_disco", "sram", ".noinit"),
        ("stm32f746g_disco", "dtcm", ".dtcm_noinit"),
        ("stm32f746g_disco", "sdram", "SDRAM1"),
        ("mimxrt1060_evk", "ocram2", "OCRAM2"),
    ],
)
def test_the_arena_lies_in_its_region_in_zephyr(project, board, region, section):
    folder = project("zephyr", board, FakeArchive(arena_bytes={region: 100}))
    source = (folder / "src" / "network.c").read_text()
    assert (
        f'[sizeof tvmgen_default_workspace] __attribute__((section("{section}"), aligned(32)));'
        in source
    )
    assert f"100 bytes in `{region}`" in (folder / "README.md").read_text()


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_project("arduino", Path("sketch"), FakeArchive(), load_board("rpi_pico"))
    assert (tmp_path / "sketch" / "sketch.ino").is_file()


def refusal(function: Callable[..., object], *arguments: object, **options: object) -> str:
    with pytest.raises(UserError) as raised:
        function(*arguments, **options)
    return str(raised.value)


class Vectorized(FakeArchive):
    """With functions that are called as kernels for Helium and DSP are."""

    def c_sources(self) -> dict[str, bytes]:
        kernels = b"static void mve_conv2d_0(int32_t row) {}\nstatic void dsp_add_1(int32_t r) {}\n"
        return {**super().c_sources(), "more.c": kernels}


@pytest.mark.parametrize(
    "board, lacking",
    [
        ("mps2-an386", "with mve, which mps2-an386 has not"),
        ("mps2-an385", "with dsp and mve"),
        ("native_sim", "with dsp and mve"),
        ("mps3-an547", ""),
    ],
)
def test_kernels_of_another_core_are_refused_unless_one_insists(tmp_path, board, lacking):
    board = load_board(board)
    assert not kernels_of_other_cores(FakeArchive(), board)
    assert bool(kernels_of_other_cores(Vectorized(), board)) == bool(lacking)
    if lacking:
        told = refusal(create_project, "zephyr", tmp_path / "app", Vectorized(), board)
        assert lacking in told and f"--target {board.name}" in told and "--other-core" in told
        assert not list(tmp_path.iterdir())
    assert create_project("zephyr", tmp_path / "app", Vectorized(), board, other_core=True)


def test_zephyr_on_this_machine(project):
    folder = project("zephyr", "native_sim")
    assert "west build -b native_sim/native/64 ." in (folder / "README.md").read_text()
    assert 'section(".noinit")' in (folder / "src" / "network.c").read_text()


@pytest.mark.parametrize("kind", ["arduino", "cmake"])
def test_no_other_project_on_this_machine(tmp_path, kind):
    told = refusal(create_project, kind, tmp_path / "app", FakeArchive(), load_board("native_sim"))
    assert f"native_sim is no board for {kind} projects" in told


def test_a_project_is_replaced_once_the_new_one_is_right(project, tmp_path):
    folder = project("zephyr", "nrf52840dk")
    (folder / "mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    m4 = load_board("mps2-an386")
    assert "with mve" in refusal(create_project, "zephyr", folder, Vectorized(), m4, force=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    file = folder / "mine.txt"
    assert "is a file" in refusal(create_project, "zephyr", file, FakeArchive(), m4, force=True)
    create_project("cmake", folder, FakeArchive(), m4, force=True)
    assert not (folder / "mine.txt").exists() and not (folder / "prj.conf").exists()
    assert (folder / "arm-none-eabi.cmake").is_file() and list(tmp_path.iterdir()) == [folder]
