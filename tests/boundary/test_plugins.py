"""A package of somebody else, installed beside this one or named by ``--plugin``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boards.board import list_boards, load_board
from dero_tvm.boundary.plugins import loaded
from tests.end_to_end.oracles import skip_unless_runnable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS / "plugin_package"


def install(folder: Path, package: Path = PACKAGE) -> None:
    """Put a package where Python finds it, with the entry points that an installer would write."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    shutil.copytree(package, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def tvmc(
    *arguments: str, path: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    paths = [str(TESTS.parent), *([str(path)] if path else [])]
    return subprocess.run(
        [sys.executable, "-m", "dero_tvm.cli.main", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def check_archive(archive: Path) -> None:
    """Operators of the plug-in, with its kernel, streamed, and the C computes sines."""
    model = dero_tvm.load_archive(archive)
    code = model.files["codegen/host/src/default_lib1.c"].decode()
    assert "sine_fpu" in code and "sinf(" in code
    image = np.random.default_rng(0).standard_normal((1, 6, 5, 4)).astype("float32")
    if sys.platform == "linux":
        skip_unless_runnable("host-c")
    (result,) = dero_tvm.run(model, [{"image": image}], "host-c").outputs
    np.testing.assert_allclose(result["output"], np.sin(np.sin(image)), atol=1e-6)


def test_an_installed_package(tmp_path: Path) -> None:
    install(tmp_path / "site")
    model, archive = tmp_path / "two.sines", tmp_path / "two.tar"
    model.write_text("sines 2\n")
    command = ["compile", str(model), "--target", "sine_board", "--dero", "-o", str(archive)]
    done = tvmc(*command, path=tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "for sine_board" in done.stdout
    check_archive(archive)
    refused = tvmc(*command)
    assert refused.returncode == 1 and "Unknown board 'sine_board'" in refused.stderr
    model.write_text("sines many")
    wrong = tvmc(*command, path=tmp_path / "site")
    assert wrong.stderr == f"tvmc: error: {model}: 'many' is not a number of sines\n"


def test_a_module_named_on_the_command_line(tmp_path: Path) -> None:
    model, archive = tmp_path / "two.sines", tmp_path / "two.tar"
    model.write_text("sines 2\n")
    arguments = ["--plugin", "sine_plugin", "--target", "sine_board", "-q", "-o", str(archive)]
    done = tvmc("compile", str(model), *arguments, cwd=PACKAGE)
    assert done.returncode == 0, done.stderr
    check_archive(archive)
    boards = tvmc("--plugin", "sine_plugin", "boards", cwd=PACKAGE)
    assert " sine_board " in boards.stdout


FAILING = {
    "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    "broken": "ZeroDivisionError: division by zero",
    "leaving": "SystemExit: 0",  # as scripts do that are no modules
}


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """The package with modules that cannot be imported."""
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package)
    (package / "broken.py").write_text("1 / 0\n")
    (package / "leaving.py").write_text("raise SystemExit(0)\n")
    return package


@pytest.mark.parametrize("value", FAILING)
def test_a_plug_in_that_fails(value: str, failing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = tvmc("boards", "--plugin", value, cwd=failing)
    assert done.stderr.startswith(f"tvmc: error: The plug-in {value} cannot be imported: ")
    assert FAILING[value] in done.stderr
    monkeypatch.syspath_prepend(failing)
    point = metadata.EntryPoint("sine", value, "dero_tvm.operators")
    with pytest.raises(dero_tvm.UserError, match=re.escape(FAILING[value])):
        loaded(point)


def test_the_name_of_a_file_is_not_that_of_a_module() -> None:
    with pytest.raises(dero_tvm.UserError, match=r"takes a module's name: my_kernel"):
        dero_tvm.load_plugin("folder/my_kernel.py")


def test_an_installed_plug_in_that_fails(failing: Path, tmp_path: Path) -> None:
    project = (failing / "pyproject.toml").read_text()
    (failing / "pyproject.toml").write_text(project.replace("sine_plugin.operator", "leaving"))
    install(tmp_path / "site", failing)
    text = tmp_path / "a.sines"
    text.write_text("sines 1")
    done = tvmc("compile", str(text), path=tmp_path / "site")
    assert "The plug-in 'sine' (leaving) of sine-plugin cannot be imported: " in done.stderr
    assert "mend or uninstall sine-plugin" in done.stderr


def test_a_folder_of_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PACKAGE / "sine_plugin" / "boards" / "sine_board.toml").read_text()
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, ram in ((first, "0x1000"), (second, "0x2000")):
        folder.mkdir()
        (folder / "sine_board.toml").write_text(text.replace("size = 0x400000", f"size = {ram}", 1))
    (second / "host.toml").write_text(text)
    before = list_boards()
    monkeypatch.setenv("DERO_TVM_BOARDS", f"{first}{os.pathsep}{second}")
    assert set(list_boards()) == {*before, "sine_board"}
    assert load_board("sine_board").ram[0].size == 0x1000
    assert load_board("host").core == "cortex-m4"  # the user's goes before the package's
    monkeypatch.setenv("DERO_TVM_BOARDS", str(tmp_path / "none"))
    with pytest.raises(dero_tvm.UserError, match="none is not a folder of board descriptions"):
        list_boards()
