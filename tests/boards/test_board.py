from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import dero_tvm
from dero_tvm.boards.board import Flash, list_boards, load_board
from dero_tvm.boards.board_folders import targets_folder
from dero_tvm.boundary.errors import UserError
from dero_tvm.report.code_size import code_size
from dero_tvm.runners.compiler_features import features_of
from tests.runners.fake_archive import FakeArchive

SMALLEST = """
name = "mine"
description = "A board"
core = "cortex-m4"
flags = ["-mcpu=cortex-m4"]
features = ["dsp"]
alignment = 8
source = "its manual"

[[ram]]
name = "sram"
origin = 0x20000000
size = 1024
section = ".bss"
source = "its manual"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


BOARDS = [load_board(name) for name in list_boards()]
REAL = [board for board in BOARDS if board.ram and not board.qemu]


def test_many_real_boards_and_the_emulated_ones():
    assert len(REAL) >= 20
    emulated = {board.name for board in BOARDS if board.qemu}
    assert emulated == {"mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_description(board):
    assert load_board(board.name).name == board.name
    assert board.description and board.source
    memories = [*board.ram, *([board.flash] if board.flash else [])]
    assert board.core == "host" or len(memories) > len(board.ram) > 0
    for memory in memories:
        assert memory.source
        assert memory.size % 256 == 0
    spans = sorted((memory.origin, memory.origin + memory.size) for memory in memories)
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:])), "they overlap"
    sections = [region.section for region in board.ram]
    assert sections[:1] in ([], [".bss"])
    assert len(set(sections)) == len(sections), "one section would be in two regions"
    if board.qemu:
        assert board.qemu.machine == board.name
    if board.zephyr and board.ram:
        in_zephyr = [region.zephyr_section for region in board.ram if region.zephyr_section]
        assert ".noinit" in in_zephyr
        assert len(set(in_zephyr)) == len(in_zephyr)
    if board.arduino:
        assert board.arduino.count(":") >= 2


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")
@pytest.mark.parametrize("board", REAL + [b for b in BOARDS if b.qemu], ids=lambda b: b.name)
def test_the_compiler_agrees_on_the_features(board):
    assert board.features == features_of("arm-none-eabi-gcc", board)
    if f"-mcpu={board.core}" not in board.flags:
        assert board.core == "cortex-m85", "which older compilers do not know"


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")
def test_a_feature_that_the_flags_do_not_give():
    board = load_board("mps2-an386")
    assert code_size(FakeArchive(), board).bytes
    wrong = replace(board, features=board.features | {"mve"})
    with pytest.raises(
        UserError, match="mps2-an386 names the feature mve, which arm-none-eabi-gcc"
    ):
        code_size(FakeArchive(), wrong)


def test_uses_of_a_description(tmp_path):
    board = load_board(write(tmp_path, SMALLEST))
    assert (board.ram_bytes, board.flash_bytes, board.zephyr, board.arduino) == (1024, 0, "", "")


def test_a_board_of_the_user(tmp_path):
    path = write(tmp_path, SMALLEST)
    board = load_board(path)
    assert board == load_board(str(path))
    assert (board.name, board.alignment, board.ram[0].size) == ("mine", 8, 1024)
    assert board.flash is None and board.qemu is None
    flash = '[flash]\norigin = 0x8000\nsize = 4096\nsource = "its manual"\n'
    assert load_board(write(tmp_path, SMALLEST + flash)).flash == Flash(
        origin=0x8000, size=4096, vectors=0x8000, source="its manual"
    )


def test_unknown_boards(tmp_path):
    with pytest.raises(UserError, match="Unknown board 'stm32': did you mean stm32f"):
        load_board("stm32")
    with pytest.raises(UserError, match="no board description .*none.toml"):
        load_board(tmp_path / "none.toml")


_FLASH_BELOW = "[flash]\norigin = 0x1ffffff0\nsize = 17\nsource = 'x'\n[[ram]]"
_RAM_AROUND = (
    '[[ram]]\nname = "all"\norigin = 0x1fff0000\nsize = 0x20000\nsection = ".all"\nsource = "x"\n'
    "[[ram]]"
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('core = "cortex-m4"', "", "'core' is missing"),
        ("alignment = 8", 'alignment = "8"', "'alignment' must be an integer"),
        ("alignment = 8", "alignment = true", "'alignment' must be an integer"),
        ("alignment = 8", "alignment = 12", "'alignment' must be a power of two"),
        ("alignment = 8", "alignment = 2048", "'alignment' is larger than a region .* 1,024 bytes"),
        ("alignment = 8", "alignment = 0", "'alignment' must be at least 1"),
        ("size = 1024", "", r"'ram\[0\].size' is missing"),
        ("size = 1024", "size = 1.5", r"'ram\[0\].size' must be an integer"),
        ("size = 1024", "size = -4", r"'ram\[0\].size' must be at least 1"),
        ("size = 1024", "size = 4\nsizes = 5", r"'ram\[0\].sizes' is not a known field"),
        ('["dsp"]', '"dsp"', "'features' must be a list of strings"),
        ('["dsp"]', '["neon"]', "'features' has 'neon', which is none of fpu"),
        ('["-mcpu=cortex-m4"]', "[4]", "'flags' must be a list of strings"),
        ('"sram"', '"SRAM-1"', "'SRAM-1' is no name of a region"),
        ("[[ram]]", "[ram]", "'ram' must be an array of tables"),
        ("[[ram]]", "[[sram]]", "'ram' needs at least one region"),
        ("[[ram]]", "[flash]\n[[ram]]", "'flash.origin' is missing; 'flash.size' is missing"),
        ("[[ram]]", '[qemu]\nmachine="x"\n[[ram]]', "'qemu.counter' is missing.*'flash' is missi"),
        ("[[ram]]", _FLASH_BELOW, r"'ram\[0\]' begins inside 'flash', at 0x20000000"),
        ("[[ram]]", _RAM_AROUND, r"'ram\[1\]' begins inside 'ram\[0\]', at 0x20000000"),
        ("name =", "name", "is not a TOML file"),
    ],
)
def test_errors_name_the_field(tmp_path, old, new, message):
    assert old in SMALLEST
    path = write(tmp_path, SMALLEST.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        load_board(path)
    assert "mine.toml" in str(caught.value)


def test_all_errors_at_once(tmp_path):
    path = write(tmp_path, SMALLEST.replace("alignment = 8", "").replace("size = 1024", ""))
    with pytest.raises(UserError, match=r"'alignment' is missing; .*'ram\[0\].size' is missing"):
        load_board(path)


def test_two_regions_of_one_name(tmp_path):
    ram = SMALLEST[SMALLEST.index("[[ram]]") :]
    with pytest.raises(UserError, match="two regions of 'ram' are named 'sram'"):
        load_board(write(tmp_path, SMALLEST + ram))


def test_installed_descriptions_come_first(tmp_path, monkeypatch):
    folder = tmp_path / "targets"
    folder.mkdir()
    (folder / "host.toml").write_text("")
    monkeypatch.setattr(dero_tvm, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "dero_tvm.targets", raising=False)
    try:
        assert targets_folder() == folder
    finally:
        sys.modules.pop("dero_tvm.targets", None)
