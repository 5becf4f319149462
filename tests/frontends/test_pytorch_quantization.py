"""Programs in the form that PyTorch's quantization for export gives them, against PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends.pytorch_quantization import register_operators
from relax_passes.pipeline import Canonicalize
from tests.compiled.compiled_c import run_in_c

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn
register_operators()
OPERATORS = torch.ops.quantized_decomposed
IMAGE = (1, 3, 8, 6)
SUM, CLASSES = 0.0417, 0.0209  # scales of results; none is a simple multiple of another
SMALLER = (-120, 100)  # a range within int8


class Quantized(nn.Module):
    """A residual network of quantized layers; `tensors`: scales are tensors, not numbers."""

    def __init__(self, *, per_channel: bool, tensors: bool, dtype: str) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.per_channel, self.tensors, self.dtype = per_channel, tensors, getattr(torch, dtype)
        self.range = (0, 255) if dtype == "uint8" else (-128, 127)
        shapes = {"stem": (8, 3, 3, 3), "inner": (8, 8, 3, 3), "classes": (5, 8)}
        for name, shape in shapes.items():
            weight = torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8)
            self.register_buffer(name, weight)
            scale = torch.rand(shape[0] if per_channel else 1, generator=generator) / 500 + 0.001
            self.register_buffer(f"{name}_scale", scale)
            bias = torch.randn(shape[0], generator=generator) / 10
            self.register_buffer(f"{name}_bias", bias)

    def weight(self, name: str) -> Any:
        values, scale = getattr(self, name), getattr(self, f"{name}_scale")
        zero = torch.zeros(len(scale), dtype=torch.int64)
        if self.per_channel:
            of_channels = OPERATORS.dequantize_per_channel
            return of_channels(values, scale, zero, 0, -127, 127, torch.int8)
        of_all = OPERATORS.dequantize_per_tensor.tensor
        return of_all(values, scale, zero, -127, 127, torch.int8)

    def rounded(
        self, x: Any, scale: float, zero: int, bounds: tuple[int, int] | None = None
    ) -> Any:
        """Quantized, and back."""
        least, most = bounds or self.range
        form = (scale, zero, least, most, self.dtype)
        if self.tensors:
            form = (torch.tensor([scale]), torch.tensor([zero]), least, most, self.dtype)
            stored = OPERATORS.quantize_per_tensor.tensor(x, *form)
            return OPERATORS.dequantize_per_tensor.tensor(stored, *form)
        stored = OPERATORS.quantize_per_tensor(x, *form)
        return OPERATORS.dequantize_per_tensor(stored, *form)

    def forward(self, x: Any) -> Any:
        middle = self.range[0] + 128
        x = self.rounded(x, 0.03, middle)
        x = nn.functional.conv2d(x, self.weight("stem"), self.stem_bias, padding=1)
        x = self.rounded(torch.relu(x), 0.0213, self.range[0])
        y = nn.functional.conv2d(x, self.weight("inner"), self.inner_bias, padding=1)
        smaller = None if self.dtype == torch.uint8 else SMALLER
        x = self.rounded(x + self.rounded(y, 0.0331, middle, smaller), SUM, middle)
        means = self.rounded(x.mean((2, 3)), 0.0113, middle)
        classes = nn.functional.linear(means, self.weight("classes"))
        return x, self.rounded(classes, CLASSES, middle)


@pytest.mark.parametrize(
    ("per_channel", "tensors", "dtype"),
    [(True, False, "int8"), (False, True, "int8"), (True, False, "uint8")],
)
def test_quantized_layers_are_integers(per_channel: bool, tensors: bool, dtype: str) -> None:
    module = Quantized(per_channel=per_channel, tensors=tensors, dtype=dtype).eval()
    x = torch.randn(IMAGE, generator=torch.Generator().manual_seed(1))
    loaded = dero_tvm.load(torch.export.export(module, (x,)))
    layers = [line for line in Canonicalize()(loaded.module).script().splitlines() if "lv" in line]
    for name in ("conv2d", "add", "dense", "reduce"):
        made = [line for line in layers if f"dero.{name}" in line]
        assert made
        assert all('dtype="int8")' in line for line in made)
    image, classes = (
        np.abs(output - wanted.numpy()) / scale
        for output, wanted, scale in zip(run_in_c(loaded, [x.numpy()]), module(x), (SUM, CLASSES))
    )
    # At ties, where PyTorch multiplies by a rounded 1 / scale, either integer is as good.
    assert image.max() < 1.01
    assert (image > 0.5).mean() < 0.02
    assert classes.max() < 1.01


def test_a_file_is_read_where_nothing_has_imported_the_operators(tmp_path: Path) -> None:
    module = Quantized(per_channel=True, tensors=False, dtype="int8")
    torch.export.save(torch.export.export(module, (torch.randn(IMAGE),)), tmp_path / "net.pt2")
    reading = "import dero_tvm; print(len(dero_tvm.load('net.pt2').outputs))"
    run = subprocess.run(
        [sys.executable, "-c", reading], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.returncode) == ("2\n", 0), run.stderr


def test_ranges_that_are_computed_are_refused() -> None:
    class Dynamic(nn.Module):
        def forward(self, x: Any) -> Any:
            scale, zero = OPERATORS.choose_qparams.tensor(x, -128, 127, 1e-6, torch.int8)
            form = (scale, zero, -128, 127, torch.int8)
            stored = OPERATORS.quantize_per_tensor.tensor(x, *form)
            return OPERATORS.dequantize_per_tensor.tensor(stored, *form)

    program = torch.export.export(Dynamic(), (torch.randn(2, 3),))
    with pytest.raises(UserError, match=r"unsupported operators: choose_qparams"):
        dero_tvm.load(program)
