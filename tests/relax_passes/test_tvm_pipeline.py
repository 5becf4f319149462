"""The passes as TVM's users reach them: by name, between TVM's passes, on TVM's importers."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from tvm import relax

from dero_tvm.frontends import load
from relax_passes.after_import import after_import
from relax_passes.canonicalization.note_weights import NoteWeights, weights_among_parameters
from relax_passes.ir.attributes import CASCADE, NOTES, main_attribute
from relax_passes.residuals import accumulate_residuals
from tests.models.tiny_models import residual

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "tvm_pipeline.py"))


@pytest.mark.parametrize(
    "imports",
    ["from tvm import relax; import relax_passes", "import relax_passes; from tvm import relax"],
)
def test_known_after_an_import(imports: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"{imports}; print(relax.get_pipeline('dero').info.name)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert told.stdout == "dero\n", told.stderr


def test_after_import_of_what_is_there() -> None:
    called: list[int] = []
    before = list(sys.meta_path)
    after_import("tvm.relax", lambda: called.append(1))
    after_import("no.such.module", lambda: called.append(2))
    assert called == [1]
    sys.meta_path[:] = before


def saved(kind: str, folder: Path) -> Path:
    """A residual network as a file."""
    path = folder / f"model.{kind}"
    if kind == "onnx":
        onnx.save(residual(), path)
        return path
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)
            self.linear = torch.nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.linear((x + self.conv(x)).mean((2, 3)))

    program = torch.export.export(Residual().eval(), (torch.zeros(1, 4, 8, 8),))
    torch.export.save(program, path)
    return path


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_between_the_passes_of_tvm(kind: str, tmp_path: Path) -> None:
    path = saved(kind, tmp_path)
    apart = EXAMPLE["imported"](path, weights_apart=True)
    bound = EXAMPLE["with_weights"](apart)
    weights = apart["main"].params[1:]
    assert list(weights_among_parameters(apart)) == list(weights)
    named = [parameter.name for parameter in weights_among_parameters(without_num_input(apart))]
    kernels = [w.name for w in weights if len(w.ty.shape) > 1]
    assert named == kernels  # biases are not told from other operands
    assert not weights_among_parameters(bound)
    (note,) = main_attribute(load(apart).module, NOTES)
    assert "BindParams" in note and weights[0].name in note
    assert main_attribute(load(bound).module, NOTES) is None
    after = EXAMPLE["pipeline"]()(bound)
    assert any(CASCADE in f.attrs for f in after.functions.values())
    data = np.random.default_rng(0).random([int(n) for n in apart["main"].params[0].ty.shape])
    data = data.astype("float32")
    run = EXAMPLE["run"]
    np.testing.assert_allclose(run(after, data), run(bound, data), atol=1e-5)


def without_num_input(module: tvm.IRModule) -> tvm.IRModule:
    copy = module.clone()
    copy["main"] = module["main"].without_attr("num_input")
    return copy


def test_options_and_passes_left_out(tmp_path: Path) -> None:
    module = load(residual()).module
    with pytest.raises(ValueError, match="level 'most' is none of none, accumulate, stream"):
        relax.get_pipeline("dero", level="most")
    accumulated = relax.get_pipeline("dero", level="accumulate", input_layout="nhwc")(module)
    kinds = {str(f.attrs[CASCADE]) for f in accumulated.functions.values() if CASCADE in f.attrs}
    assert kinds == {"accumulate"}
    with tvm.transform.PassContext(disabled_pass=[accumulate_residuals.NAME]):
        left = relax.get_pipeline("dero", level="accumulate")(module)
    assert len(left.functions) == 1


def test_noted_once() -> None:
    x = relax.Var("x", relax.TensorType((2, 3), "float32"))
    w = relax.Var("w", relax.TensorType((3, 4), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x, w]):
        with builder.dataflow():
            y = builder.emit_output(relax.op.matmul(builder.emit(relax.op.nn.relu(x)), w))
        builder.emit_func_output(y)
    once = NoteWeights()(builder.get())
    assert len(main_attribute(once, NOTES)) == 1
    tvm.ir.assert_structural_equal(NoteWeights()(once), once)
