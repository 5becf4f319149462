"""Programs of torch.export, where PyTorch is installed."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.installation import pip_install
from dero_tvm.frontends import ModelPort, load
from tests.compiled.compiled_c import run_in_c


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def network(torch):
    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(4)
            self.second = torch.nn.Conv2d(4, 4, 3, padding=1)
            self.dense = torch.nn.Linear(4, 5)

        def forward(self, image):
            one = torch.relu(self.norm(self.first(image)))
            two = torch.relu(one + self.second(one))
            return self.dense(two.mean((2, 3)))

    torch.manual_seed(0)
    return Residual().eval()


def test_saved_program(torch, network, tmp_path: Path) -> None:
    image = torch.randn(1, 3, 8, 8)
    path = tmp_path / "residual.pt2"
    torch.export.save(torch.export.export(network, (image,)), path)
    loaded = load(path)
    assert (loaded.name, loaded.format) == ("residual", "pytorch")
    assert loaded.inputs == (ModelPort("image", (1, 3, 8, 8), "float32"),)
    assert loaded.outputs[0].shape == (1, 5)
    assert loaded.module["main"].attrs["dero.rounding"] == "single"
    (computed,) = run_in_c(loaded, [image.numpy()])
    expected = network(image).detach().numpy()
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


def test_open_batch(torch, network) -> None:
    batch = torch.export.Dim("batch", min=1, max=16)
    program = torch.export.export(
        network, (torch.randn(2, 3, 8, 8),), dynamic_shapes={"image": {0: batch}}
    )
    with pytest.raises(UserError, match=r'--input-shapes "image:\[1,3,8,8\]"'):
        load(program)
    loaded = load(program, input_shapes={"image": (3, 3, 8, 8)})
    assert loaded.outputs[0].shape == (3, 5)
    image = torch.randn(3, 3, 8, 8)
    (computed,) = run_in_c(loaded, [image.numpy()])
    expected = network(image).detach().numpy()
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


def test_damaged_program(torch, network, tmp_path: Path) -> None:
    path = tmp_path / "cut.pt2"
    torch.export.save(torch.export.export(network, (torch.randn(1, 3, 8, 8),)), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"cut\.pt2 is not a readable PyTorch program"):
        load(path)


def test_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "model.pt2"
    path.write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(
        UserError, match=rf"model\.pt2 is a PyTorch file.*{re.escape(pip_install('torch'))}"
    ):
        load(path)


def rewritten(path: Path, change: dict[str, Callable[[bytes], bytes]]) -> Path:
    """The archive at `path` with some of its files changed."""
    target = path.with_name("hostile.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for end, changed in change.items():
                data = changed(data) if name.endswith(end) else data
            new.writestr(name, data)
    return target


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("end", "change", "said"),
    [
        (
            "models/model.json",
            lambda data: data.replace(b"aten.relu.default", b"own.relu.default"),
            r"the operator own\.relu\.default is none that PyTorch has here",
        ),
        (
            "weight_0",
            lambda data: data[:5],
            r"not a readable .* \(Record data/weights/w",
        ),
        (
            "models/model.json",
            lambda data: re.sub(rb'("major": ?)\d+', rb"\g<1>99", data),
            r"\(Serialized schema version SchemaVersion\(major=99",
        ),
    ],
)
def test_the_reason_is_said_and_not_logged(
    torch, network, tmp_path: Path, capfd, caplog, end, change, said
) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 8, 8),)), path)
    with pytest.raises(UserError, match=said):
        load(rewritten(path, {end: change}))
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


def test_numbers_in_place_of_tensors(torch) -> None:
    class Powers(torch.nn.Module):
        def forward(self, image, count: int):
            return image * count, count

    program = torch.export.export(Powers(), (torch.ones(1, 3), 4))
    with pytest.raises(UserError, match=r"input 1 \('count'\) is 4 and no tensor; export"):
        load(program)

    class Pair(torch.nn.Module):
        def forward(self, image):
            return image + 1, None

    program = torch.export.export(Pair(), (torch.ones(1, 3),))
    with pytest.raises(UserError, match=r"output 1 is None and no tensor; export"):
        load(program)


def test_what_is_drawn_or_depends_on_values_is_refused_by_name(torch) -> None:
    def refusal(function) -> str:
        class Network(torch.nn.Module):
            def forward(self, x):
                return function(x)

        program = torch.export.export(Network(), (torch.ones(2, 3),))
        with pytest.raises(UserError) as caught:
            load(program)
        return str(caught.value)

    drawn = refusal(lambda x: torch.nn.functional.dropout(x, 0.5, training=True))
    assert "dropout" in drawn and "is in training mode; call eval() on the model" in drawn
    assert "how many elements index ('index') gives depends on" in refusal(lambda x: x[x > 0])
    chosen = refusal(lambda x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,)))
    assert "branches at run time (cond 'cond')" in chosen


def test_python_objects_are_not_loaded(torch, network, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 8, 8),)), path)
    made = tmp_path / "made"
    buffer = io.BytesIO()
    torch.save((Touch(made),), buffer)
    hostile = rewritten(path, {"sample_inputs/model.pt": lambda _: buffer.getvalue()})
    with pytest.raises(UserError, match=r"refused: it holds a Python object \((_io|io).open\)"):
        load(hostile)
    assert not made.exists()


def test_expressions_do_not_act(torch, network, tmp_path: Path) -> None:
    """Sizes in a program are text, of which SymPy makes expressions with eval."""
    dims = {0: torch.export.Dim("batch", min=1, max=9)}
    program = torch.export.export(network, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=(dims,))
    path = tmp_path / "model.pt2"
    torch.export.save(program, path)
    made = tmp_path / "made"
    code = f"__import__('os').system('touch {made}')"

    def change(data: bytes) -> bytes:
        assert b'"expr_str":' in data
        return re.sub(rb'("expr_str": ?)"[^"]*"', rb'\1"' + code.encode() + b'"', data)

    with pytest.raises(UserError, match=r"refused: it would do os.system, and PyTorch would"):
        load(rewritten(path, {"models/model.json": change}))
    assert not made.exists()
