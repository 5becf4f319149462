"""What is generated compiles without a warning, with every compiler that is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tvm import relax

import dero_tvm
from dero_tvm.boards.board import load_board
from tests.aot.networks import float32_normalized, int8_block, module_of

WARNINGS = (
    "-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion "
    "-Wundef -Wcast-qual -Wdouble-promotion -Werror"
).split()
COMPILERS = {
    "gcc": ["-std=c11", "-O2", "-Wstrict-aliasing=2"],
    "clang": ["-std=c11", "-O2", "-Wmissing-variable-declarations"],
    "arm-none-eabi-gcc": ["-std=c11", "-O2", "-mcpu=cortex-m7", "-mthumb"],
}
# Without instructions of their own, with those for int8 and floats, with vectors.
BOARDS = ("rpi_pico", "mps2-an386", "mps3-an547")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    folders = []
    softmax = module_of((1, 3, 2, 2), "float32", lambda b, x: relax.op.nn.softmax(x, axis=1))
    argmax = module_of((1, 3, 2, 5), "float32", lambda b, x: relax.op.argmax(x, axis=3))
    for module in (int8_block(), float32_normalized(), softmax, argmax):
        for external in (False, True):
            folders.append(tmp_path_factory.mktemp("model"))
            compiled = dero_tvm.compile(module, dero="stream", external_io=external)
            compiled.archive.extract_c(folders[-1])
    return [path for folder in folders for path in sorted(folder.glob("*.c"))]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_warning(compiler: str, sources: list[Path], tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    for path in sources:
        command = [compiler, *COMPILERS[compiler], *WARNINGS, "-c", str(path)]
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "out.o")], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board", BOARDS)
def test_no_warning_of_a_boards_kernels(board: str, tmp_path: Path) -> None:
    compiler = "arm-none-eabi-gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    for name, module in (("int8", int8_block()), ("float32", float32_normalized())):
        compiled = dero_tvm.compile(module, dero="stream", target=board)
        compiled.archive.extract_c(tmp_path / name)
    sources = sorted(tmp_path.glob("*/*.c"))
    # As users have them: small or fast, old or new C, other signs of char and sizes of enum.
    for flags in (
        ["-std=c99", "-Os", "-fshort-enums", "-funsigned-char"],
        ["-std=c11", "-O3", "-DTVMGEN_CHECK=1", "-DTVMGEN_PROFILE=TVMGEN_DWT"],
    ):
        command = [compiler, *load_board(board).flags, *flags, *WARNINGS, "-c"]
        for path in sources:
            done = subprocess.run(
                [*command, str(path), "-o", str(tmp_path / "out.o")],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr


def test_no_include_without_use(sources: list[Path]) -> None:
    uses = {
        "math.h": ("sqrtf(", "expf(", "INFINITY", "NAN"),
        "stdbool.h": ("bool", "true", "false"),
        "stddef.h": ("NULL",),
        "string.h": ("memcpy(",),
    }
    included = set()
    for path in sources:
        text = path.read_text()
        for header, words in uses.items():
            if f"#include <{header}>" in text:
                included.add(header)
                rest = text.replace(f"#include <{header}>", "")
                assert any(word in rest for word in words), (path, header)
    assert included == {"math.h", "stddef.h", "string.h"}
