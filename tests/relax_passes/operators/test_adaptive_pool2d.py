"""Averages and maxima of windows of several sizes, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F = torch.nn.functional
lengths = st.integers(1, 9)
POOLS = {
    "average": lambda x: F.adaptive_avg_pool2d(x, (3, 7)),
    "maximum": lambda x: F.adaptive_max_pool2d(x, (3, 7)),
    "larger": lambda x: F.adaptive_avg_pool2d(x, (14, 5)),
    "area": lambda x: F.interpolate(x, (4, 3), mode="area"),
    "line": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7),
    "rounded up": lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True),
}


@given(st.tuples(st.integers(1, 2), lengths, lengths, st.integers(1, 3)), lengths, lengths)
@cases(20)
def test_kernel(shape, height, width):
    data = np.random.default_rng(0).standard_normal(shape).astype("float32")
    image = torch.from_numpy(data).permute(0, 3, 1, 2)
    expected = F.adaptive_avg_pool2d(image, (height, width)).permute(0, 2, 3, 1).numpy()
    check_kernel("adaptive_pool2d", [data], expected, rtol=1e-4, size=(height, width))


def test_networks(tmp_path):
    networks = FrameworkNetworks()
    for name, pool in POOLS.items():

        class Pooled(torch.nn.Module):
            def forward(self, x, pool=pool):
                return pool(x)

        x = torch.randn(1, 4, 11, 10)
        loaded = load(torch.export.export(Pooled(), (x,)))
        run = lambda x, pool=pool: pool(torch.from_numpy(x)).numpy()  # noqa: E731
        called, _ = networks.add(name.replace(" ", "_"), Network(loaded, run, 1e-5, x.numpy()))
        assert all(operator.startswith("dero.") for operator in called), (name, called)
    networks.check_outputs(tmp_path)


@pytest.mark.parametrize("dtype, size", [("int8", (2, 2)), ("float32", (0, 2))])
def test_refusals(dtype, size):
    with pytest.raises(
        ValueError, match="takes one tensor of float32|takes NHWC data|a height and a width"
    ):
        RowKernel("adaptive_pool2d", [TensorSpec((1, 3, 3, 2), dtype)], size=size)
