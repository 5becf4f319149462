"""Programs of torch.export with open sizes: computed with those given, refused outside of what they
were exported for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load
from tests.compiled.compiled_c import run_in_c

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional
AUTO, Dim = torch.export.Dim.AUTO, torch.export.Dim


class Computing(torch.nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(torch.relu(x))


def exported(function, dims):
    example = torch.zeros(2, 4, 8, 12)
    return torch.export.export(Computing(function), (example,), dynamic_shapes={"x": dims})


def computed_from_sizes(x):
    """What models do with sizes: scales, means by hand, halves, resizes, padding to a multiple."""
    batch, _, height, width = x.shape
    small = functional.max_pool2d(x, 2)
    return (
        x * height,
        x / height**0.5,
        x.sum((2, 3)) / (height * width),
        x[:, :, : height // 2],
        functional.interpolate(small, size=(height, width)),
        functional.interpolate(small, size=x.shape[2:], mode="bilinear"),
        functional.pad(x, (0, width % 5)),
        torch.cat(torch.chunk(x, 2, 3), 1),
        x + torch.arange(width).float(),
        torch.cat([x, torch.zeros(batch, 1, height, width)], 1),
    )


@pytest.mark.parametrize("batch", [1, 2])
def test_computed_from_sizes(batch: int) -> None:
    shape = (batch, 4, 10, 16)
    program = exported(computed_from_sizes, {0: AUTO, 2: AUTO, 3: AUTO})
    x = torch.randn(shape)
    computed = run_in_c(load(program, input_shapes={"x": shape}), [x.numpy()])
    for mine, theirs in zip(computed, Computing(computed_from_sizes)(x), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-5, atol=1e-6)
    (port,) = (node for node in program.graph.nodes if node.op == "placeholder")
    assert isinstance(port.meta["val"].shape[0], torch.SymInt)  # the caller's program stays open


def test_multiples() -> None:
    program = exported(lambda x: functional.max_pool2d(x, 4), {2: 4 * Dim("quarter", max=64)})
    assert load(program, input_shapes={"x": (2, 4, 16, 12)}).outputs[0].shape == (2, 4, 4, 3)
    with pytest.raises(UserError, match=r"in which 18 is not 4\*\w+ of any size"):
        load(program, input_shapes={"x": (2, 4, 18, 12)})


@pytest.mark.parametrize(
    ("function", "dims", "shape", "message"),
    [
        # The export has what Python's own functions computed of the size as a number.
        (lambda x: x / math.sqrt(x.shape[2]), {2: AUTO}, (2, 4, 10, 12), "contradicts the model's"),
        (lambda x: x * 2 if x.shape[2] > 9 else x, {2: AUTO}, (2, 4, 10, 12), "for 2 to 9"),
        (
            lambda x: x if x.shape[2] + x.shape[3] < 30 else x * 2,
            {2: AUTO, 3: AUTO},
            (2, 4, 16, 16),
            r"exported for sizes with .*x\[.*30, which x \[2, 4, 16, 16\] does not keep",
        ),
        (
            lambda x: x * 2 if x.shape[2] % 4 else x,
            {2: AUTO},
            (2, 4, 10, 12),
            r"exported for sizes with .*x\[2\].*4.*, which x \[2, 4, 10, 12\] does not keep",
        ),
        (lambda x: x * 2, {0: Dim("batch", max=9)}, (10, 4, 8, 12), r"a size of 10 .* to 9; "),
    ],
)
def test_sizes_that_were_not_exported(function, dims, shape, message) -> None:
    with pytest.raises(UserError, match=message):
        load(exported(function, dims), input_shapes={"x": shape})
