"""The bare-metal project, built with CMake and run in QEMU."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from dero_tvm.boards.board import load_board
from dero_tvm.cycles.trace import functions
from tests.projects.devices import check_inferences, qemu
from tests.runners.fake_archive import FakeArchive

_TOOLS = ("cmake", "make", "arm-none-eabi-gcc", "qemu-system-arm")
_MISSING = [tool for tool in _TOOLS if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")


def build(folder, *options):
    build_folder = folder / "build"
    subprocess.run(
        ["cmake", "-G", "Unix Makefiles", "-S", folder, "-B", build_folder, *options],
        check=True,
        capture_output=True,
    )
    made = subprocess.run(["cmake", "--build", build_folder], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "warning" not in made.stderr
    return build_folder / "app.elf"


@pytest.mark.parametrize(
    ("board", "machine", "archive"),
    [
        ("mps2-an500", "mps2-an500", FakeArchive(arena_bytes={"sram": 100, "psram": 60})),
        ("mps3-an547", "mps3-an547", FakeArchive(external_io=True)),
        # QEMU emulates this one as well, without a counter of instructions.
        ("bbc_microbit", "microbit", FakeArchive()),
    ],
)
def test_in_qemu(project, board, machine, archive):
    program = build(project("cmake", board, archive))
    console = ("-serial", "none", "-semihosting-config", "enable=on,target=native")
    assert check_inferences(qemu(machine, program, *console), archive) == [0, 0]


_HOT = """
#ifndef TVMGEN_HOT
#define TVMGEN_HOT
#endif
TVMGEN_HOT __attribute__((noinline)) static void hot(void) { __asm__ volatile(""); }
"""


@pytest.mark.parametrize("option", ["ON", "OFF"])
def test_functions_run_from_the_itcm_if_the_option_says_so(project, option):
    archive = FakeArchive(globals=_HOT, body="hot();", external_io=True)
    program = build(project("cmake", "mps3-an547", archive), f"-DTVMGEN_IN_ITCM={option}")
    itcm = load_board("mps3-an547").itcm
    first, _ = functions(program)["hot"]
    assert (itcm.origin <= first < itcm.origin + itcm.size) is (option == "ON")
    console = ("-serial", "none", "-semihosting-config", "enable=on,target=native")
    assert check_inferences(qemu("mps3-an547", program, *console), archive) == [0, 0]


def test_the_arena_is_where_the_plan_has_it(project):
    archive = FakeArchive(arena_bytes={"dtcm": 71}, suffix=False)
    program = build(project("cmake", "stm32f746g_disco", archive))
    symbols = subprocess.run(
        ["arm-none-eabi-nm", program], check=True, capture_output=True, text=True
    ).stdout.split("\n")
    address = next(
        int(s.split()[0], 16) for s in symbols if s.endswith(" tvmgen_default_workspace")
    )
    assert 0x20000000 <= address < 0x20010000 and address % 32 == 0
    vectors = next(int(s.split()[0], 16) for s in symbols if s.endswith(" vectors"))
    assert vectors == 0x08000000


def test_a_program_too_large_for_the_board_does_not_link(project, tmp_path):
    folder = project("cmake", "bbc_microbit")
    (folder / "model" / "default_lib0.c").write_text(
        (folder / "model" / "default_lib0.c").read_text()
        + "const char much[300000] = {1}; const char *use(void); "
        + "const char *use(void) { return much; }\n"
    )
    source = (folder / "src" / "main.c").read_text()
    (folder / "src" / "main.c").write_text(
        source.replace("protocol_begin();", "extern const char *use(void);\n  console_output += "
                       "use()[console_output];\n  protocol_begin();")
    )  # fmt: skip
    with pytest.raises(AssertionError, match="region `flash' overflowed"):
        build(folder)
