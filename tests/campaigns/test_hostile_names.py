"""A network in which every name is an attack, from its file to C, reports and projects."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.aot.archive import load_archive
from dero_tvm.cli.main import tvmc
from dero_tvm.runners import run_host_c
from tests.campaigns.fuzzing.hostile_values import NAMES

HOSTILE = [name for name in NAMES if name]  # an empty name means an operand left out
INJECTED = re.compile(rb"\binjected\b|#\s*error")
FILE = "a b;$(touch made)`touch made`'\"*%s\n.onnx"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's file, its archive, and its report."""
    folder = tmp_path_factory.mktemp("names")
    onnx.save(network(), folder / FILE)
    words = ["compile", folder / FILE, "--dero", "-q", "-o", folder / f"{FILE}.tar"]
    words += ["--report", folder / "report.json"]
    invoke(*words)
    invoke("report", folder / f"{FILE}.tar", "--html", folder / "report.html")
    return folder


def invoke(*words: object) -> str:
    """What `tvmc` with these words prints."""
    result = CliRunner().invoke(tvmc, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


def code_of(source: bytes) -> bytes:
    """C without comments and strings."""
    return re.sub(rb"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", b"", source, flags=re.S)


def network() -> onnx.ModelProto:
    """A residual convolution for each name, of tensors and nodes called by it."""
    nodes, inputs, outputs, weights = [], [], [], []
    for name in HOSTILE:
        w, c, y = f"{name} weights", f"{name} inside", f"{name} result"
        nodes.append(helper.make_node("Conv", [name, w], [c], name=name))
        nodes.append(helper.make_node("Add", [c, name], [y], name=name))
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 3, 3]))
        outputs.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, [1, 2, 3, 3]))
        weights.append(numpy_helper.from_array(np.ones((2, 2, 1, 1), "float32"), w))
    graph = helper.make_graph(nodes, "*/\n" + HOSTILE[0], inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_nothing_else_is_written(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [FILE, f"{FILE}.tar", "report.html", "report.json"]
    )


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c(folder: Path, compiler: str) -> None:
    """It compiles without a warning, and computes; all is ASCII on short lines."""
    if shutil.which(compiler) is None:
        pytest.skip(f"not installed: {compiler}")
    archive = load_archive(folder / f"{FILE}.tar")
    arrays = {name: np.ones((1, 2, 3, 3), "float32") for name in HOSTILE}
    outputs = run_host_c(archive, [arrays], compiler=compiler).outputs[0]
    assert list(outputs) == [f"{name} result" for name in HOSTILE]
    assert all((output == 3).all() for output in outputs.values())
    for name, data in archive.files.items():
        if name.endswith((".c", ".h")):
            assert re.fullmatch(rb"[\n -~]*", data), name
            assert not INJECTED.search(code_of(data))


def test_files_of_the_archive(folder: Path) -> None:
    with tarfile.open(folder / f"{FILE}.tar") as tar:
        names = tar.getnames()
    assert all(re.fullmatch(r"(\./)?[A-Za-z0-9_./-]+", name) for name in names)
    assert not any(".." in name for name in names)


def test_page(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert "\x1b" not in page


def test_terminal(folder: Path) -> None:
    text = invoke("report", folder / f"{FILE}.tar")
    assert all(character.isprintable() or character == "\n" for character in text)


def test_outputs_in_a_file(folder: Path, tmp_path: Path) -> None:
    invoke("run", folder / f"{FILE}.tar", "--device", "host", "-o", tmp_path / "y.npz")
    with np.load(io.BytesIO((tmp_path / "y.npz").read_bytes())) as arrays:
        assert len(arrays.files) == len(HOSTILE)
    assert [path.name for path in tmp_path.iterdir()] == ["y.npz"]


@pytest.mark.parametrize(
    ("kind", "board"),
    [("zephyr", "nrf52840dk"), ("arduino", "arduino_nano_33_ble"), ("cmake", "mps2-an500")],
)
def test_project(folder: Path, tmp_path: Path, kind: str, board: str) -> None:
    archive, project = folder / f"{FILE}.tar", tmp_path / "project"
    invoke("micro", "create-project", kind, project, archive, "--board", board)
    assert [path.name for path in tmp_path.iterdir()] == ["project"]
    for path in project.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", path.name)
        if path.suffix in (".c", ".h", ".ino", ".cpp"):
            assert not INJECTED.search(code_of(path.read_bytes()))
