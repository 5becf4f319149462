"""``tvmc reorganize``: a folder that is there whole or not at all, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from dero_tvm.boundary.installation import pip_install
from tests.models.tiny_models import model_of, save

DIGITS = Path(__file__).parents[2] / "examples" / "models" / "digits_int8.onnx"


def block(batch: int | str = 1) -> onnx.ModelProto:
    """A convolution, two with a residual connection around them, and one for the result."""
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((4, 4, 3, 3), "float32") for name in ("t", "u", "v", "w")}
    nodes = [
        helper.make_node("Conv", ["image", "u"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "v"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "w"], ["e"], pads=[1] * 4),
        helper.make_node("Add", ["e", "b"], ["f"]),
        helper.make_node("Conv", ["f", "t"], ["scores"], pads=[1] * 4),
    ]
    shape = (batch, 4, 8, 8)
    return model_of(nodes, {"image": shape}, {"scores": shape}, weights)


@pytest.fixture
def block_file(tmp_path):
    return save(block(), tmp_path / "block.onnx")


@pytest.fixture
def pytorch():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")


@pytest.mark.usefixtures("pytorch")
def test_folder(run, block_file, tmp_path):
    folder = tmp_path / "out"
    result = run("reorganize", block_file, "-o", folder)
    assert result.exit_code == 0, result.output
    names = ["network.onnx", "network.py", "report.json", "report.txt", "weights.pt"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert f"wrote {folder / name}" in result.stdout.replace("\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["block.onnx", "out"]
    onnx.checker.check_model(onnx.load(folder / "network.onnx"), full_check=True)
    report = json.loads((folder / "report.json").read_text())
    assert report["kind"] == "reorganized"
    assert [shortcut["steps"] for shortcut in report["shortcuts"]] == [["identity"]] * 3
    assert len(report["without_shortcut"]) == 1  # whose result is the network's
    # 3x3 convolutions of 4 channels with biases; a norm before each, and one in each shortcut.
    assert report["parameters_before"] == 4 * (4 * 4 * 9 + 4)
    assert report["parameters"] == 3 * (4 * 4 * 9 + 4 + 8 + 8) + (4 * 4 * 9 + 4)
    assert report["inherited"] == report["parameters_before"]
    assert report["arena_bytes"]["reorganized"] == report["arena_bytes"]["plain"]
    source = folder / "network.py"
    for check in (["check", "--select", "E,F,I,B,UP,SIM,C4"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", check[0], "--isolated", *check[1:], str(source)]
        checked = subprocess.run(command, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "dero" not in source.read_text()


@pytest.mark.usefixtures("pytorch")
def test_quiet(run, block_file, tmp_path):
    result = run("reorganize", block_file, "-q", "--plain", "--no-bias", "-o", tmp_path / "out")
    assert (result.exit_code, result.output) == (0, "")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["kind"], report["shortcuts"]) == ("plain", [])
    # Four convolutions, of which the last alone has a bias, and a norm before the others.
    assert report["parameters"] == 4 * 4 * 4 * 9 + 4 + 3 * 8


@pytest.mark.usefixtures("pytorch")
def test_some_joins(run, refused, block_file, tmp_path):
    result = run("reorganize", block_file, "--joins", "f", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 of 1 residual joins reorganized, the others exact: f." in result.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["partial"]["joins"] == ["f"]
    assert len(report["shortcuts"]) == 2  # not the convolution in front of the block
    message = refused("reorganize", block_file, "--joins", "g", "-o", tmp_path / "other")
    assert message == (
        f"{block_file}: --joins g: no residual join of that name can be reorganized; there are f"
    )


def test_folder_that_exists(refused, block_file, tmp_path):
    (tmp_path / "out").mkdir()
    message = refused("reorganize", block_file, "-o", tmp_path / "out")
    assert (
        message == f"{tmp_path / 'out'}: exists already; give the name of a new folder, or "
        "remove it"
    )
    nowhere = tmp_path / "no" / "where"
    message = refused("reorganize", block_file, "-o", nowhere)
    assert message == f"{nowhere}: the folder {nowhere.parent} does not exist; make it first"


@pytest.mark.parametrize("package", ["torch", "onnxscript"])
def test_without_pytorch(refused, block_file, tmp_path, monkeypatch, package):
    if package == "onnxscript":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setitem(sys.modules, package, None)
    assert refused("reorganize", block_file, "-o", tmp_path / "out") == (
        f"reorganize writes a PyTorch module, and the Python package {package} is not installed; "
        f"install both with {pip_install('torch')}"
    )


@pytest.mark.usefixtures("pytorch")
def test_network_without_residuals(refused, tmp_path):
    weight = np.ones((4, 4, 3, 3), "float32")
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    model = model_of([node], {"x": (1, 4, 8, 8)}, {"y": (1, 4, 6, 6)}, {"w": weight})
    path = save(model, tmp_path / "chain.onnx")
    assert refused("reorganize", path, "-o", tmp_path / "out") == (
        f"{path}: the network has no residual connection"
    )


@pytest.mark.usefixtures("pytorch")
def test_join_without_a_convolution(refused, tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    weight = np.ones((4, 4, 1, 1), "float32")
    model = model_of(nodes, {"x": (1, 4, 8, 8)}, {"y": (1, 4, 8, 8)}, {"w": weight})
    path = save(model, tmp_path / "pool.onnx")
    assert refused("reorganize", path, "-o", tmp_path / "out") == (
        f"{path}: the network has no residual connection that could be reorganized (Add 'y': it "
        "goes around no convolution, so there is none that its shortcut could be given to)"
    )


@pytest.mark.usefixtures("pytorch")
def test_open_and_quantized_inputs(refused, run, tmp_path):
    path = save(block(batch="N"), tmp_path / "open.onnx")
    message = refused("reorganize", path, "-o", tmp_path / "out")
    assert message.endswith('fix it with --input-shapes "image:[1,4,8,8]"')
    assert refused("reorganize", DIGITS, "-o", tmp_path / "out") == (
        f"{DIGITS}: is quantized (int8), and such a network cannot be trained; reorganize the "
        "float32 network, and quantize it after training"
    )
    shapes = "image:[1,4,8,8]"
    done = run("reorganize", path, "--input-shapes", shapes, "-q", "-o", tmp_path / "out")
    assert done.exit_code == 0
