"""Comparisons and choices: rows against NumPy, activations that are written so against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.frontends.load import load
from relax_passes.operators import TensorSpec, operator_of
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.compiled.operator_checks import check_kernel, random_array
from tests.random_cases import cases

FUNCTIONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 15),
    st.sampled_from(FUNCTIONS),
    st.sampled_from(["float32", "int8", "bool"]),
)
@cases(25)
def test_rows(shape, broadcast, function, dtype) -> None:
    rng = np.random.default_rng(broadcast)
    part = [1 if broadcast >> axis & 1 else length for axis, length in enumerate(shape)]
    numbers = "int8" if dtype == "bool" else dtype
    a, b = (random_array(rng, lengths, numbers) // 32 for lengths in (shape, part))
    a, b = (a > 0, b > 0) if dtype == "bool" else (a.astype(dtype), b.astype(dtype))
    holds = getattr(np, function)(a, b)
    check_kernel("compare", [a, b], holds, in_place=None, function=function)
    if dtype == "bool":
        return
    condition = random_array(rng, part, "int8") > 0
    check_kernel("select", [condition, a, b], np.where(condition, a, b), in_place=None)


@pytest.mark.parametrize(
    ("operator", "types", "attrs", "message"),
    [
        (
            "compare",
            ["int8", "int8"],
            {"function": "near"},
            "function must be one of .*, got 'near'",
        ),
        ("compare", ["int8", "float32"], {"function": "less"}, "two operands of one type"),
        ("select", ["int8", "int8", "int8"], {}, "truth values and two tensors"),
    ],
)
def test_refusals(operator, types, attrs, message) -> None:
    specs = tuple(TensorSpec((1, 2, 2, 3), dtype) for dtype in types)
    with pytest.raises(ValueError, match=message):
        operator_of(f"dero.{operator}").infer(specs, attrs)


def test_networks_in_c(tmp_path) -> None:
    """Nothing is left to TVM, nothing is transposed but input and output, and all streams."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn
    functions = {
        "threshold": nn.Threshold(0.1, 0.2),
        "hardshrink": nn.Hardshrink(0.3),
        "softplus": nn.Softplus(),
        "celu": nn.CELU(0.5),
        "where": lambda x: torch.where(x > 0.5, x, x * 0.1),
        "peaks": lambda x: x * (nn.functional.max_pool2d(x, 3, 1, 1) == x).float(),
    }

    class Between(nn.Module):
        def __init__(self, function) -> None:
            super().__init__()
            self.before, self.function = nn.Conv2d(2, 8, 3, padding=1), function
            self.after = nn.Conv2d(8, 2, 3, padding=1)

        def forward(self, x):
            return self.after(self.function(self.before(x)))

    networks = FrameworkNetworks()
    x = torch.randn(1, 2, 12, 10, generator=torch.Generator().manual_seed(1))
    for name, function in functions.items():
        torch.manual_seed(0)
        module = Between(function).eval()
        loaded = load(torch.export.export(module, (x,)))
        expected = lambda x, m=module: m(torch.from_numpy(x)).detach().numpy()  # noqa: E731
        called, streamed = networks.add(name, Network(loaded, expected, 1e-5, x.numpy()))
        assert all(operator.startswith("dero.") for operator in called), (name, called)
        assert called.count("dero.transpose") <= 2, (name, called)
        assert "dero.select" in streamed or "dero.select" not in called, (name, called)
    networks.check_outputs(tmp_path)
