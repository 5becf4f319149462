"""What the documentation shows is so: commands print it, code runs, C compiles, links lead on."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import dero_tvm
from dero_tvm.cli.main import tvmc
from dero_tvm.kernels import registered, unregister_kernel
from tests.compiled.models import compiled
from tests.conftest import ROOT
from tests.docs.pages import PAGES, blocks, pages_with

GCC = shutil.which("gcc")
QEMU = shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the commands find the examples, and write what they write."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def digits() -> dero_tvm.CompiledModel:
    """The bundled network."""
    return compiled("digits_int8")


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("console"), ids=lambda page: page.name)
def test_commands_print_what_the_page_shows(page: Path, checkout: Path) -> None:
    for block in blocks(page, "console"):
        shown = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
        for command, output in zip(shown[::2], shown[1::2]):
            if "qemu:" in command:  # what it counts depends on the version of the compiler
                continue
            assert printed_by(command) == output, f"{page.name}: scripts/refresh-docs mends this"


def printed_by(command: str) -> str:
    """What a command shows, lines without trailing spaces; `tvmc` runs in this process."""
    if not command.startswith("tvmc "):
        done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
        return done.stdout
    words, _, pipe = command.partition(" | ")
    result = CliRunner().invoke(tvmc, shlex.split(words)[1:], env={"COLUMNS": "80"})
    output = result.output
    if pipe:
        done = subprocess.run(pipe, shell=True, input=output, capture_output=True, text=True)
        output = done.stdout
    return "".join(f"{line.rstrip()}\n" for line in output.rstrip().splitlines())


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.name)
def test_python_runs(page: Path, checkout: Path, digits: dero_tvm.CompiledModel) -> None:
    digits.save(checkout / "build" / "digits.tar")
    names = {"__file__": str(page), "inputs": [dict(np.load("examples/models/digits_image.npz"))]}
    known = {entry.generator for entry in registered()}
    try:
        for block in blocks(page, "python"):
            if "qemu" not in block or QEMU:
                exec(compile(block, page.name, "exec"), names)
    finally:
        for entry in registered():
            if entry.generator not in known:
                unregister_kernel(entry.generator)


@pytest.mark.parametrize("page", pages_with("toml"), ids=lambda page: page.name)
def test_boards_load(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "toml"):
        (tmp_path / "board.toml").write_text(block)
        assert dero_tvm.load_board(tmp_path / "board.toml").ram


@pytest.mark.skipif(GCC is None, reason="gcc is not installed")
def test_c_of_generated_code(tmp_path: Path, digits: dero_tvm.CompiledModel) -> None:
    """A part of the header, then applications, each with the macros that its first line names."""
    part, *applications = blocks(ROOT / "docs" / "generated-code.md", "c")
    digits.archive.extract_c(tmp_path)
    header = (tmp_path / "tvmgen_default.h").read_text()
    for line in without_comments(part):
        assert line in without_comments(header)

    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-z,defs"]
    sources = list(map(str, sorted(tmp_path.glob("*.c"))))
    for application in applications:
        (tmp_path / "application.c").write_text(application)
        macros = re.findall(r"-D\S+", application.splitlines()[0])
        if "tvmgen_default_workspace[" in application:
            macros.append("-DTVMGEN_DEFAULT_CALLER_WORKSPACE")
        files = [*sources, str(tmp_path / "application.c"), "-o", str(tmp_path / "all.so"), "-lm"]
        subprocess.run([GCC, *flags, *macros, *files], check=True)


def without_comments(code: str) -> list[str]:
    """The lines of C code without comments and surplus spaces."""
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
    code = code.replace("{ ", "{\n").replace(" }", "\n}")
    return [" ".join(line.split()) for line in code.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, section in LINK.findall(text):
        assert (page.parent / target).exists(), target
        if section:
            titles = HEADING.findall((page.parent / target).read_text())
            assert section in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]
